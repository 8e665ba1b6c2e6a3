//! `GET /v2/<name>/tags/list`, a page at a time when asked.

use axum::Json;
use axum::http::header::LINK;
use axum::response::IntoResponse;
use serde::Serialize;

use crate::Registry;
use crate::error::Refusal;
use crate::route::Answer;
use crate::store::blocking;

#[derive(Serialize)]
struct List<'a> {
    name: &'a str,
    tags: Vec<String>,
}

/// The tags in byte order: after `last`, at most `n`, with a `Link` to the next page when there is one.
pub(crate) async fn list(registry: &Registry, name: &str, query: Option<&str>) -> Answer {
    let (store, repository) = (registry.store.clone(), name.to_owned());
    let tags = blocking(move || {
        let exists = store.has_repository(&repository)?;
        exists.then(|| store.tags(&repository)).transpose()
    });
    let tags = tags.await?.ok_or_else(|| Refusal::name_unknown(name))?;
    let (n, last) = page(query);
    let (tags, more) = cut(tags, n, last);
    // Tags need no encoding in a query.
    let link = tags.last().filter(|_| more).map(|last| {
        format!("</v2/{name}/tags/list?n={}&last={last}>; rel=\"next\"", n.unwrap_or(tags.len()))
    });
    let headers = link.map(|link| [(LINK, link)]);
    let body = Json(List { name, tags });
    Ok(match headers {
        Some(headers) => (headers, body).into_response(),
        None => body.into_response(),
    })
}

/// `n` and `last` of a query; an `n` that is no number counts as none.
pub(crate) fn page(query: Option<&str>) -> (Option<usize>, Option<&str>) {
    let pairs = || query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let value = |name: &str| pairs().find(|(key, _)| *key == name).map(|(_, value)| value);
    (value("n").and_then(|n| n.parse().ok()), value("last"))
}

/// A page of sorted tags, and whether others follow.
fn cut(tags: Vec<String>, n: Option<usize>, last: Option<&str>) -> (Vec<String>, bool) {
    let mut rest: Vec<String> =
        tags.into_iter().filter(|tag| last.is_none_or(|last| tag.as_str() > last)).collect();
    let n = n.unwrap_or(rest.len());
    let more = rest.len() > n && n > 0;
    rest.truncate(n);
    (rest, more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages() {
        let tags = || ["1", "10", "2", "latest"].map(str::to_owned).to_vec();
        assert_eq!(cut(tags(), None, None), (tags(), false));
        assert_eq!(cut(tags(), Some(2), None), (vec!["1".into(), "10".into()], true));
        assert_eq!(cut(tags(), Some(2), Some("10")), (vec!["2".into(), "latest".into()], false));
        assert_eq!(cut(tags(), Some(0), None), (vec![], false));
        assert_eq!(cut(tags(), None, Some("zzz")), (vec![], false));
        assert_eq!(page(Some("n=3&last=a")), (Some(3), Some("a")));
        assert_eq!(page(Some("n=x")), (None, None));
    }
}
