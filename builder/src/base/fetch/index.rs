//! Where a file of the Python package index lies: the index answers with a page of links for each project.
//!
//! The page is that of the simple repository API (PEP 503; as JSON, PEP 691). Files may lie on another host.

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, Url};
use serde::Deserialize;

use super::root_cause;

const JSON: &str = "application/vnd.pypi.simple.v1+json";

#[derive(Deserialize)]
struct Page {
    files: Vec<Link>,
}

#[derive(Deserialize)]
struct Link {
    filename: String,
    url: String,
}

/// The address of a locked file (`project/file name`) on an index; else the reason why there is none.
pub(super) async fn address(client: &Client, index: &str, path: &str) -> Result<String, String> {
    let (project, file) = path.split_once('/').unwrap_or((path, ""));
    let accept = format!("{JSON}, text/html;q=0.1");
    let request = client.get(format!("{index}/{project}/")).header(ACCEPT, accept);
    let said = |error: reqwest::Error| root_cause(&error.without_url());
    let response = request.send().await.map_err(said)?;
    if !response.status().is_success() {
        return Err(response.status().to_string());
    }
    // Relative links start where redirects led to.
    let page = response.url().clone();
    let json =
        response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(JSON.as_bytes()));
    let text = response.text().await.map_err(said)?;
    let link = if json { in_json(&text, file)? } else { in_html(&text, file) };
    let link = link.ok_or_else(|| format!("its page has no {file}"))?;
    page.join(&link).map(String::from).map_err(|e| format!("{link}: {e}"))
}

fn in_json(page: &str, file: &str) -> Result<Option<String>, String> {
    let page: Page = serde_json::from_str(page).map_err(|e| format!("its page is damaged: {e}"))?;
    Ok(page.files.into_iter().find(|link| link.filename == file).map(|link| link.url))
}

/// The target of the link that ends in the file's name; hashes and queries behind it do not matter.
fn in_html(page: &str, file: &str) -> Option<String> {
    let targets = page.split("href=").skip(1).filter_map(|rest| {
        let quote = rest.chars().next().filter(|first| matches!(first, '"' | '\''))?;
        rest[1..].split(quote).next()
    });
    targets
        .map(|target| target.replace("&amp;", "&"))
        .find(|target| {
            let plain = target.split(['#', '?']).next().unwrap_or_default();
            plain.rsplit('/').next() == Some(file)
        })
        .filter(|target| Url::parse(target).map_or(true, |url| matches!(url.scheme(), "http" | "https")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_found_in_both_forms_of_the_page() {
        let html = "<a data-x=\"1\" href=\"../../packages/aa/pip-1.tar.gz#sha256=0\">x</a>\n\
                    <a href='../../packages/ab/pip-1-py3-none-any.whl?a=1&amp;b=2#sha256=1'>x</a>";
        let file = "pip-1-py3-none-any.whl";
        assert_eq!(in_html(html, file).unwrap(), "../../packages/ab/pip-1-py3-none-any.whl?a=1&b=2#sha256=1");
        assert_eq!(in_html(html, "pip-2-py3-none-any.whl"), None);
        assert_eq!(in_html("<a href=\"file:///pip-1-py3-none-any.whl\">", file), None);
        let json = r#"{"files": [{"filename": "pip-1-py3-none-any.whl", "url": "x/y.whl", "hashes": {}}]}"#;
        assert_eq!(in_json(json, file).unwrap().unwrap(), "x/y.whl");
        assert!(in_json("<html>", file).is_err());
    }
}
