//! Every operation × every parameter that names something × {own, another organization's, deleted, never existed}:
//! the last three can't be told from each other, and change nothing.

use std::collections::BTreeMap;

use api_server::store::{DAY_MS, UsageDelta, now_ms};
use serde_json::Value;

use super::{
    Operation, body_of, operations,
    world::{Ask, World},
};
use crate::harness::Server;

const NEVER: &str = "11111111-1111-4111-8111-111111111111";

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    Path,
    Query,
    Body,
}

/// The parameters of an operation that name something.
fn names(document: &Value, operation: Operation<'_>) -> Vec<(Place, String)> {
    let mut found = Vec::new();
    for parameter in operation.says["parameters"].as_array().unwrap() {
        let place = if parameter["in"] == "path" { Place::Path } else { Place::Query };
        found.push((place, parameter["name"].as_str().unwrap().to_owned()));
    }
    let properties = body_of(document, operation).and_then(|schema| schema["properties"].as_object());
    found.extend(properties.into_iter().flatten().map(|(name, _)| (Place::Body, name.clone())));
    found.retain(|(_, name)| name.ends_with("_id"));
    found
}

fn with(mut ask: Ask, place: Place, name: &str, id: &str) -> Ask {
    let pairs = match place {
        Place::Path => &mut ask.path,
        Place::Query => &mut ask.query,
        Place::Body => {
            ask.body.get_or_insert_default().insert(name.to_owned(), id.into());
            return ask;
        }
    };
    pairs.retain(|(other, _)| other != name);
    pairs.push((name.to_owned(), id.to_owned()));
    ask
}

/// All of an answer that a caller sees, but the id that was asked for and the request's own id.
async fn seen(
    world: &World<'_>,
    operation: Operation<'_>,
    ask: &Ask,
    id: &str,
) -> (u16, BTreeMap<String, String>, String) {
    let answer = world.ask(operation, ask).await;
    let headers = answer.headers.iter().filter(|(name, _)| *name != "x-request-id");
    let headers =
        headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    (answer.status.as_u16(), headers, String::from_utf8(answer.bytes).unwrap().replace(id, "ID"))
}

#[tokio::test]
async fn what_is_anothers_deleted_or_never_was_looks_the_same_in_every_operation() {
    let mut asked = 0;
    // A server each: what an operation leaves to the background is no write of the next one.
    let all = operations(Server::start().await.document()).len();
    for number in 0..all {
        let server = Server::start().await;
        let operation = operations(server.document())[number];
        if operation.needs_key() {
            asked += check(&server, operation).await;
        }
    }
    // So that a description without names would not pass for one whose names were tried.
    assert!(asked >= 20, "only {asked} parameters that name something were found");
}

/// What calls would do: no operation makes usage.
async fn use_up(server: &Server, world: &World<'_>, name: &str, id: &str) {
    let application_id = match name {
        "namespace_id" => world.client.function(id, "used").await,
        _ => id.to_owned(),
    };
    let used = gateway::Usage { invocations: 1, ..gateway::Usage::default() };
    let day = now_ms().div_euclid(DAY_MS) * DAY_MS;
    assert_eq!(server.state.store.add_usage(&[UsageDelta { application_id, day, used }]).await.unwrap(), 0);
}

async fn check(server: &Server, operation: Operation<'_>) -> usize {
    let document = server.document();
    let mut caller = World::new(document, server.client().await);
    let mut other = World::new(document, server.client().await);
    let names = names(document, operation);
    for (place, name) in &names {
        let what = format!("{} {place:?} {name}", operation.name());
        let good = caller.good(operation).await;
        let (own, foreign) = if name == "organization_id" {
            (caller.client.organization_id.clone(), vec![other.client.organization_id.clone()])
        } else {
            let Some(own) = caller.make(name).await else {
                // Named by the document in `jwt/issue`, and made by no operation of this server.
                assert_eq!(name, "container_id", "nothing makes a {name}");
                continue;
            };
            let theirs = other.make(name).await.unwrap();
            if *place == Place::Query {
                caller.fill(operation, name, &own).await;
                other.fill(operation, name, &theirs).await;
                if operation.name() == "listUsage" {
                    use_up(server, &caller, name, &own).await;
                    use_up(server, &other, name, &theirs).await;
                }
            }
            (own, [theirs].into_iter().chain(caller.make_and_delete(name).await).collect())
        };
        let mut connection = server.state.store.readers().acquire().await.unwrap();
        let before = server.version(&mut connection).await;
        let never = seen(&caller, operation, &with(good.clone(), *place, name, NEVER), NEVER).await;
        for id in &foreign {
            let found = seen(&caller, operation, &with(good.clone(), *place, name, id), id).await;
            assert_eq!(found, never, "{what}: {id}");
        }
        assert_eq!(
            server.version(&mut connection).await,
            before,
            "{what}: a refused request wrote something"
        );
        let refused = matches!(never.0, 403 | 404);
        let is_filter = *place == Place::Query && never.0 == 200;
        assert!(refused || is_filter, "{what}: {never:?}");
        let own = seen(&caller, operation, &with(good, *place, name, &own), &own).await;
        assert_ne!(own, never, "{what}: one's own looks like nobody's");
    }
    names.len()
}
