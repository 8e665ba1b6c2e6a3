//! Lists: what is wrong with a query, pages that stay what they are, and whose rows they show.

use serde_json::{Value, json};

use crate::harness::{Client, Server};

#[tokio::test]
async fn everything_wrong_with_a_query_is_told_at_once() {
    let server = Server::start().await;
    let client = server.client().await;
    for list in ["namespaces", "functions"] {
        let answer = client.get(&format!("{list}?page=0&page_size=-1&order_by=size")).await;
        for (name, reason) in [("page", "constraint"), ("page_size", "constraint"), ("order_by", "unknown")] {
            answer.assert_argument(name, reason);
        }
        assert_eq!(answer.body["details"].as_array().unwrap().len(), 3, "{answer:?}");
    }
    client.get("namespaces?page=%2B1").await.assert_argument("page", "constraint");
    client.get("namespaces?page_size=1.5").await.assert_argument("page_size", "constraint");
    // Beyond any list, but a number.
    let beyond = client.get("namespaces?page=99999999999999999999").await;
    assert_eq!((beyond.status.as_u16(), &beyond.body["namespaces"]), (200, &json!([])));
    // An empty value is as good as none.
    assert_eq!(client.get("namespaces?page=&order_by=&name=").await.status, 200);
    // The last of several counts.
    assert_eq!(client.get("namespaces?page=x&page=1").await.status, 200);
    assert_eq!(client.get("namespaces?page=x&page=").await.status, 200);
    client.get("namespaces?page=1&page=x").await.assert_argument("page", "constraint");
}

#[tokio::test]
async fn pages_do_not_shift_while_functions_are_made_and_the_clock_goes_back() {
    let server = Server::start().await;
    let client = server.client().await;
    let namespace = client.namespace("n").await;
    let mut made = Vec::new();
    for number in 0..7 {
        made.push(client.function(&namespace, &format!("f{number}")).await);
    }
    // As if the clock had stood an hour ahead until now.
    server
        .state
        .store
        .write("function.update", async |tx| {
            sqlx::query("UPDATE applications SET created = created + 3600000").execute(tx).await?;
            Ok(())
        })
        .await
        .unwrap();

    let mut seen = Vec::new();
    for page in 1..=4 {
        let part = ids(&client, &format!("functions?page={page}&page_size=2")).await;
        seen.extend(part);
        made.push(client.function(&namespace, &format!("later{page}")).await);
    }
    assert_eq!(seen[..7], made[..7], "in the order in which they were made, none twice, none left out");
    let mut newest_first = ids(&client, "functions?order_by=created_at_desc&page_size=100").await;
    newest_first.reverse();
    assert_eq!(newest_first, made);
}

#[tokio::test]
async fn a_list_shows_the_callers_own_rows_alone() {
    let server = Server::start().await;
    let (one, two) = (server.client().await, server.client().await);
    let namespace = one.namespace("n").await;
    one.function(&namespace, "f").await;
    for list in ["namespaces", "functions"] {
        assert_eq!(one.get(list).await.body["total_count"], 1);
        assert_eq!(two.get(list).await.body["total_count"], 0);
        let foreign = one.get(&format!("{list}?organization_id={}", two.organization_id)).await;
        foreign.assert_error(403, "permissions_denied");
    }
    let nested = two.get(&format!("namespaces/{namespace}/functions")).await;
    nested.assert_error(404, "not_found");
    // A filter narrows the nested list no further than its path does.
    let other = one.namespace("other").await;
    let nested = one.get(&format!("namespaces/{namespace}/functions?namespace_id={other}")).await;
    assert_eq!(nested.body["total_count"], 1, "{nested:?}");
}

async fn ids(client: &Client, path: &str) -> Vec<String> {
    let answer = client.get(path).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let rows: &Vec<Value> = answer.body["functions"].as_array().unwrap();
    rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}
