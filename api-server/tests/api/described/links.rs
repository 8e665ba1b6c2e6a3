//! The links of the document: from each create to what can be done with what it made.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::operations;
use crate::harness::Server;

#[tokio::test]
async fn a_create_is_linked_to_every_operation_that_takes_what_it_made() {
    let server = Server::start().await;
    let document = server.document();
    let all = operations(document);
    let links = |name: &str| {
        let create = all.iter().find(|operation| operation.name() == name).unwrap();
        let links = &create.says["responses"]["200"]["links"];
        links.as_object().unwrap().clone().into_iter().collect::<BTreeMap<String, Value>>()
    };
    let names = |name: &str| links(name).into_keys().collect::<Vec<_>>();
    assert_eq!(names("createCron"), ["deleteCron", "getCron", "updateCron"]);
    for operation in ["getFunctionUploadUrl", "deployFunction", "issueToken", "createCron", "listCrons"] {
        assert!(names("createFunction").iter().any(|name| name == operation), "{operation}");
    }
    let of_namespace = links("createNamespace");
    assert_eq!(
        of_namespace["createFunction"],
        json!({
            "operationId": "createFunction",
            "parameters": {"path.region": "$request.path.region"},
            "requestBody": {"namespace_id": "$response.body#/id"},
        })
    );
    assert_eq!(
        of_namespace["getRegistryNamespace"]["parameters"]["path.registry_namespace_id"],
        "$response.body#/registry_namespace_id"
    );
    // What a link names exists, and so does each argument.
    for create in ["createNamespace", "createFunction", "createContainer", "createCron"] {
        for (name, link) in links(create) {
            let operation = all.iter().find(|operation| operation.name() == name).unwrap();
            let parameters = operation.says["parameters"].as_array().unwrap();
            for wanted in link["parameters"].as_object().unwrap().keys() {
                let (place, wanted) = wanted.split_once('.').unwrap();
                let fits = |parameter: &Value| parameter["in"] == place && parameter["name"] == wanted;
                assert!(parameters.iter().any(fits), "{create} → {name}: {place} {wanted}");
            }
        }
    }
}
