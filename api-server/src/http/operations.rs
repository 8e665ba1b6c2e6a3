//! Every operation, grouped by resource. To add one: its handler, and a line here.

use super::{
    applications::{self, Wire as _},
    crons, logs, namespaces,
    operation::{DELETE, GET, Group, Operation, PATCH, POST, PUT},
    registry, runtimes, tokens, uploads, usage,
};
use crate::store::{Code, Image};

/// Base of the document's operations.
const BASE: &str = "/functions/v1alpha2/regions/{region}";

/// All operations there are.
pub(super) fn operations() -> Vec<Group> {
    let registry = "/registry/v1beta2/regions/{region}";
    vec![
        Group { name: "namespaces", base: BASE, operations: of_namespaces() },
        Group { name: "functions", base: BASE, operations: of_functions() },
        Group { name: "containers", base: BASE, operations: of_containers() },
        Group { name: "crons", base: BASE, operations: of_crons() },
        Group { name: "logs", base: BASE, operations: of_logs() },
        Group { name: "tokens", base: BASE, operations: of_tokens() },
        Group { name: "usage", base: BASE, operations: of_usage() },
        Group { name: "registry", base: registry, operations: of_the_registry() },
        Group { name: "archives", base: "", operations: of_archives() },
    ]
}

fn of_namespaces() -> Vec<Operation> {
    let (all, one) = ("/namespaces", "/namespaces/{namespace_id}");
    let says = "A page of the organization's namespaces.";
    let list = Operation::new(GET, all, "listNamespaces", says, namespaces::list)
        .query(|config| namespaces::LIST.parameters(&config.limits));
    let says = "Makes a namespace; it is `creating`, then `ready`.";
    let create =
        Operation::new(POST, all, "createNamespace", says, namespaces::create).refuses(&["quotas_exceeded"]);
    let get = Operation::new(GET, one, "getNamespace", "The namespace.", namespaces::get);
    let says = "Changes what the body names. Nothing is deployed anew.";
    let update = Operation::new(PATCH, one, "updateNamespace", says, namespaces::update);
    let says = "Deletes the namespace with all that is in it; its images stay in the registry.";
    let delete = Operation::new(DELETE, one, "deleteNamespace", says, namespaces::delete);
    vec![list, create, get, update, delete]
}

fn of_functions() -> Vec<Operation> {
    let (all, one) = ("/functions", "/functions/{function_id}");
    let says = "A page of the organization's functions.";
    let list = Operation::new(GET, all, "listFunctions", says, applications::list::<Code>)
        .query(|config| Code::LIST.parameters(&config.limits));
    let (path, says) = (
        "/namespaces/{namespace_id}/functions",
        "All functions of the namespace, or a page when one is asked for.",
    );
    let within =
        Operation::new(GET, path, "listNamespaceFunctions", says, applications::list_of_namespace::<Code>)
            .query(|config| Code::LIST.parameters_within(&config.limits));
    let says = "Makes a function; it is `created` until it is deployed.";
    let create = Operation::new(POST, all, "createFunction", says, applications::create::<Code>)
        .refuses(&["quotas_exceeded"]);
    let get = Operation::new(GET, one, "getFunction", "The function.", applications::get::<Code>);
    let says = "Changes what the body names, and deploys when that is needed or asked for.";
    let update = Operation::new(PATCH, one, "updateFunction", says, applications::update::<Code>)
        .refuses(&["precondition_failed"]);
    let says = "Deletes the function; its images stay in the registry.";
    let delete = Operation::new(DELETE, one, "deleteFunction", says, applications::delete::<Code>);
    let (path, says) = (
        "/functions/{function_id}/deploy",
        "Deploys the archive last uploaded; a deploy that runs is superseded.",
    );
    let deploy = Operation::new(POST, path, "deployFunction", says, applications::deploy::<Code>)
        .refuses(&["precondition_failed"]);
    let (path, says) =
        ("/functions/{function_id}/upload-url", "A URL for one `PUT` of exactly so many bytes.");
    let upload = Operation::new(GET, path, "getFunctionUploadUrl", says, uploads::upload_url)
        .query(|config| uploads::parameters(config.archive_limits.archive_bytes))
        .refuses(&["transient_state", "locked"]);
    let (path, says) = ("/functions/{function_id}/download-url", "A URL for the archive last uploaded.");
    let download = Operation::new(GET, path, "getFunctionDownloadUrl", says, uploads::download_url)
        .refuses(&["precondition_failed"]);
    let says = "Every name of a runtime that is accepted.";
    let runtimes = Operation::new(GET, "/runtimes", "listRuntimes", says, runtimes::list);
    vec![list, within, create, get, update, delete, deploy, upload, download, runtimes]
}

fn of_containers() -> Vec<Operation> {
    let (all, one) = ("/containers", "/containers/{container_id}");
    let says = "A page of the organization's containers.";
    let list = Operation::new(GET, all, "listContainers", says, applications::list::<Image>)
        .query(|config| Image::LIST.parameters(&config.limits));
    let (path, says) = (
        "/namespaces/{namespace_id}/containers",
        "All containers of the namespace, or a page when one is asked for.",
    );
    let within =
        Operation::new(GET, path, "listNamespaceContainers", says, applications::list_of_namespace::<Image>)
            .query(|config| Image::LIST.parameters_within(&config.limits));
    let says = "Makes a container; it is `created` until it is deployed.";
    let create = Operation::new(POST, all, "createContainer", says, applications::create::<Image>)
        .refuses(&["quotas_exceeded"]);
    let get = Operation::new(GET, one, "getContainer", "The container.", applications::get::<Image>);
    let says = "Changes what the body names, and deploys when that is needed or asked for.";
    let update = Operation::new(PATCH, one, "updateContainer", says, applications::update::<Image>);
    let says = "Deletes the container; its images stay in the registry.";
    let delete = Operation::new(DELETE, one, "deleteContainer", says, applications::delete::<Image>);
    let (path, says) = (
        "/containers/{container_id}/deploy",
        "Deploys the image that its name stands for now; a deploy that runs is superseded.",
    );
    let deploy = Operation::new(POST, path, "deployContainer", says, applications::deploy::<Image>);
    vec![list, within, create, get, update, delete, deploy]
}

fn of_crons() -> Vec<Operation> {
    let (all, one) = ("/crons", "/crons/{cron_id}");
    let list = Operation::new(GET, all, "listCrons", "A page of the organization's crons.", crons::list)
        .query(|config| crons::LIST.parameters(&config.limits));
    let says = "Makes a cron: it calls its function or container whenever its schedule says so, in UTC.";
    let create =
        Operation::new(POST, all, "createCron", says, crons::create).refuses(&["locked", "quotas_exceeded"]);
    let says = "The cron, with what came of its last call.";
    let get = Operation::new(GET, one, "getCron", says, crons::get);
    let says = "Changes what the body names; ticks of the schedule before come no more.";
    let update = Operation::new(PATCH, one, "updateCron", says, crons::update);
    let says = "Deletes the cron; a call that runs is not broken off.";
    let delete = Operation::new(DELETE, one, "deleteCron", says, crons::delete);
    vec![list, create, get, update, delete]
}

fn of_logs() -> Vec<Operation> {
    let says =
        "Lines that a function or container said, and what the platform did with it; the newest first.";
    let list = Operation::new(GET, "/logs", "listLogs", says, logs::list)
        .query(|config| logs::parameters(config.limits.page_size));
    vec![list]
}

fn of_tokens() -> Vec<Operation> {
    let says = "A token for the private functions of a namespace, or for one function or container alone.";
    let issue = Operation::new(GET, "/jwt/issue", "issueToken", says, tokens::issue)
        .query(|_| tokens::parameters())
        .refuses(&["transient_state"]);
    vec![issue]
}

fn of_usage() -> Vec<Operation> {
    let says = "What functions and containers used, a row a day and application, also of deleted ones.";
    vec![
        Operation::new(GET, "/usage", "listUsage", says, usage::list)
            .query(|config| usage::parameters(&config.limits)),
    ]
}

fn of_the_registry() -> Vec<Operation> {
    let (path, says) =
        ("/namespaces/{registry_namespace_id}", "The registry namespace that lies beside a namespace.");
    vec![Operation::new(GET, path, "getRegistryNamespace", says, registry::get)]
}

/// Without a key: the signature of a presigned URL is the right.
fn of_archives() -> Vec<Operation> {
    let path = "/archives/{key}";
    let says = "Takes the bytes of an archive, at the URL that `upload-url` answered.";
    let put = Operation::new(PUT, path, "putArchive", says, uploads::put)
        .query(|_| uploads::presigned_parameters())
        .refuses(&["transient_state"]);
    let says = "The bytes of an archive, at the URL that `download-url` answered.";
    let get = Operation::new(GET, path, "getArchive", says, uploads::get)
        .query(|_| uploads::presigned_parameters());
    vec![put, get]
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::operations;
    use crate::Config;

    #[test]
    fn an_operation_says_what_its_handler_looks_at() {
        let config = Config::new(PathBuf::new());
        for operation in operations().into_iter().flat_map(|group| group.operations) {
            let keys = (operation.query)(&config);
            assert_eq!(operation.signature.query, !keys.is_empty(), "{}: keys of the query", operation.name);
            let names_one = operation.path.contains("_id}");
            assert_eq!(operation.signature.id, names_one, "{}: what the path names", operation.name);
        }
    }
}
