//! `WWW-Authenticate` as registries send it (RFC 9110 section 11.6.1).

use std::collections::BTreeMap;

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// What a registry asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Name and password with every request.
    Basic,
    /// A token from a token service.
    Bearer {
        /// The token service's URL.
        realm: String,
        /// What to call this registry there.
        service: Option<String>,
        /// What the registry says this request needs.
        scope: Option<String>,
    },
}

/// The challenge to answer: a bearer one when there is any, else a basic one.
pub(super) fn challenge(headers: &HeaderMap) -> Option<Challenge> {
    let all: Vec<Challenge> =
        headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|v| v.to_str().ok()).flat_map(parse).collect();
    let bearer = all.iter().find(|c| matches!(c, Challenge::Bearer { .. }));
    bearer.or(all.first()).cloned()
}

/// All challenges of one header value that this client can answer.
fn parse(text: &str) -> Vec<Challenge> {
    let mut found = Vec::new();
    let mut current: Option<(String, BTreeMap<String, String>)> = None;
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (word, after) = token(rest);
        if word.is_empty() {
            break;
        }
        rest = after.trim_start();
        if let Some(value) = rest.strip_prefix('=') {
            let (value, after) = value_of(value.trim_start());
            rest = after;
            if let Some((_, parameters)) = &mut current {
                parameters.insert(word.to_ascii_lowercase(), value);
            }
        } else {
            found.extend(current.take().and_then(finish));
            current = Some((word.to_ascii_lowercase(), BTreeMap::new()));
        }
    }
    found.extend(current.and_then(finish));
    found
}

fn finish((scheme, mut parameters): (String, BTreeMap<String, String>)) -> Option<Challenge> {
    match scheme.as_str() {
        "basic" => Some(Challenge::Basic),
        "bearer" => Some(Challenge::Bearer {
            realm: parameters.remove("realm")?,
            service: parameters.remove("service"),
            scope: parameters.remove("scope"),
        }),
        _ => None,
    }
}

/// A token at the start of the text, and what follows.
fn token(text: &str) -> (&str, &str) {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    text.split_at(text.find(|c| !is_token(c)).unwrap_or(text.len()))
}

/// A token or a quoted string at the start of the text, and what follows.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        // Unquoted URLs are sent in the wild: everything up to the next comma or space.
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    fn of(values: &[&'static str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(value));
        }
        challenge(&headers)
    }

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        let own = |text: Option<&str>| text.map(str::to_owned);
        Some(Challenge::Bearer { realm: realm.into(), service: own(service), scope: own(scope) })
    }

    #[test]
    fn the_usual_forms() {
        assert_eq!(of(&[r#"Basic realm="zipship""#]), Some(Challenge::Basic));
        assert_eq!(of(&["basic"]), Some(Challenge::Basic));
        assert_eq!(
            of(&[r#"Bearer realm="https://a/t?x=1",service="r",scope="repository:a:pull,push""#]),
            bearer("https://a/t?x=1", Some("r"), Some("repository:a:pull,push"))
        );
    }

    #[test]
    fn several_challenges_prefer_bearer() {
        assert_eq!(
            of(&[r#"Basic realm="x", Bearer realm="https://a", service=r"#]),
            bearer("https://a", Some("r"), None)
        );
        assert_eq!(
            of(&["Negotiate", r#"Basic realm="x""#, "bEaReR ReAlM=https://a"]),
            bearer("https://a", None, None)
        );
    }

    #[test]
    fn escapes_and_rubbish() {
        assert_eq!(of(&[r#"Bearer realm="a\"b",service="#]), bearer("a\"b", Some(""), None));
        assert_eq!(of(&[r#"Bearer realm="unclosed"#]), bearer("unclosed", None, None));
        assert_eq!(of(&["Bearer service=x"]), None);
        assert_eq!(of(&["", "==", "\"", "Digest nonce=\"1\""]), None);
    }

    proptest::proptest! {
        #[test]
        fn never_panics_and_ends(text in "[ -~]{0,80}") {
            let _ = parse(&text);
        }
    }
}
