//! `docs/api.md`: the table of all operations, each with the tests that prove it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::operations;
use crate::harness::Server;

#[path = "../../../../tests/named.rs"]
mod named;

/// When set, the table is written anew.
const WRITE: &str = "ZIPSHIP_WRITE_OPERATIONS";
const BEGIN: &str = "<!-- operations: made by a test -->\n";
const END: &str = "<!-- end of operations -->\n";

/// What proves each operation, beside the tests of all of them: who may see what, what is refused, what is answered.
const PROOFS: &[(&str, &[&str])] = &[
    ("listNamespaces", &["a_namespace_is_checked_listed_changed", "a_list_shows_the_callers_own_rows_alone"]),
    ("createNamespace", &["a_namespace_is_checked_listed_changed"]),
    ("getNamespace", &["a_namespace_is_checked_listed_changed"]),
    ("updateNamespace", &["a_namespace_is_checked_listed_changed"]),
    ("deleteNamespace", &["the_demo_walks_the_whole_tutorial_and_leaves_nothing_running"]),
    (
        "listFunctions",
        &[
            "everything_wrong_with_a_query_is_told_at_once",
            "pages_do_not_shift_while_functions_are_made_and_the_clock_goes_back",
        ],
    ),
    ("listNamespaceFunctions", &["a_list_shows_the_callers_own_rows_alone"]),
    ("createFunction", &["every_argument_outside_its_constraint_is_named"]),
    ("getFunction", &["a_patch_changes_what_it_names_and_nothing_on_refusal"]),
    ("updateFunction", &["a_patch_changes_what_it_names_and_nothing_on_refusal"]),
    ("deleteFunction", &["the_tutorial_goes_from_namespace_to_pending_deploy"]),
    (
        "deployFunction",
        &["a_deploy_goes_to_ready_with_its_revision_live", "a_redeploy_under_load_loses_no_request"],
    ),
    ("getFunctionUploadUrl", &["only_exactly_the_announced_bytes_are_kept"]),
    ("getFunctionDownloadUrl", &["the_tutorial_goes_from_namespace_to_pending_deploy"]),
    ("listContainers", &["lists_have_their_filters_orders_and_pages_and_the_nested_one_is_whole"]),
    ("listNamespaceContainers", &["lists_have_their_filters_orders_and_pages_and_the_nested_one_is_whole"]),
    ("createContainer", &["a_container_is_made_as_the_tutorial_makes_it_and_answers_every_field"]),
    ("getContainer", &["a_container_is_made_as_the_tutorial_makes_it_and_answers_every_field"]),
    ("updateContainer", &["a_deploy_takes_the_image_and_what_runs_is_redeployed_by_a_change"]),
    ("deleteContainer", &["what_is_deleted_goes_and_a_namespace_takes_its_containers_along"]),
    (
        "deployContainer",
        &[
            "an_image_pushed_by_skopeo_and_by_podman_is_deployed_called_replaced_and_deleted",
            "a_failed_deploy_says_what_the_image_said_and_the_old_version_serves",
        ],
    ),
    ("listCrons", &["lists_are_filtered_ordered_and_cut_into_pages"]),
    (
        "createCron",
        &[
            "expressions_are_read_as_kubernetes_reads_them",
            "args_are_plain_whichever_form_they_come_in",
            "a_cron_calls_private_functions_and_containers_and_what_came_of_it_is_told",
        ],
    ),
    ("getCron", &["a_cron_is_ready_once_stored_and_answered_whole"]),
    ("updateCron", &["a_patch_changes_what_it_names_alone"]),
    ("deleteCron", &["a_deleted_cron_is_gone"]),
    (
        "listLogs",
        &[
            "pages_of_a_log_stay_while_lines_are_written",
            "a_log_is_its_tenants_own_and_goes_with_its_application",
            "what_is_over_the_rate_is_counted_and_told",
        ],
    ),
    ("listRuntimes", &["every_argument_outside_its_constraint_is_named"]),
    (
        "issueToken",
        &["exactly_one_id_is_asked_for", "a_token_is_proven_by_the_key_beside_it_and_claims_what_was_asked"],
    ),
    (
        "listUsage",
        &[
            "usage_is_a_row_a_day_and_application_and_stays_when_that_goes",
            "calls_are_counted_exactly_also_across_a_restart",
        ],
    ),
    ("getRegistryNamespace", &["the_tutorial_goes_from_namespace_to_pending_deploy"]),
    ("putArchive", &["only_exactly_the_announced_bytes_are_kept", "a_changed_or_expired_url_is_refused"]),
    ("getArchive", &["a_changed_or_expired_url_is_refused"]),
];

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn page() -> PathBuf {
    workspace().join("docs/api.md")
}

/// The table of a document.
fn table(document: &Value) -> String {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for operation in operations(document) {
        let group = operation.says["tags"][0].as_str().unwrap();
        let path = operation.path.trim_start_matches("/functions/v1alpha2/regions/{region}/");
        let proofs = proofs(operation.name()).iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
        let row = format!(
            "| `{} {path}` | {} | {} |\n",
            operation.method.to_uppercase(),
            operation.says["summary"].as_str().unwrap(),
            proofs.join(" ")
        );
        match groups.iter_mut().find(|(name, _)| name == group) {
            Some((_, rows)) => rows.push(row),
            None => groups.push((group.to_owned(), vec![row])),
        }
    }
    let mut table = "| operation | what it does | proved by |\n| --- | --- | --- |\n".to_owned();
    let order = document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap());
    for name in order {
        table.extend(groups.iter().filter(|(group, _)| group == name).flat_map(|(_, rows)| rows.clone()));
    }
    table
}

fn proofs(operation: &str) -> &'static [&'static str] {
    let found = PROOFS.iter().find(|(name, _)| *name == operation);
    found.unwrap_or_else(|| panic!("PROOFS of this file does not say what proves {operation}")).1
}

#[tokio::test]
async fn the_page_has_every_operation_and_tests_that_exist() {
    let server = Server::start().await;
    let text = std::fs::read_to_string(page()).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (found, after) = rest.split_once(END).unwrap();
    let wanted = table(server.document());
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(page(), format!("{before}{BEGIN}{wanted}{END}{after}")).unwrap();
    } else {
        assert_eq!(found, wanted, "{WRITE}=1 writes the table of docs/api.md anew");
    }
    let tests = named::tests(workspace());
    let operations = operations(server.document());
    for (operation, proofs) in PROOFS {
        assert!(operations.iter().any(|one| one.name() == *operation), "{operation} is no operation");
        assert!(!proofs.is_empty(), "nothing proves {operation}");
        for proof in *proofs {
            assert!(tests.iter().any(|test| test == proof), "{proof} does not exist; it proves {operation}");
        }
    }
}
