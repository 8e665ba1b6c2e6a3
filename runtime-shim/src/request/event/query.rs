//! `queryStringParameters` and `multiValueQueryStringParameters`: form decoding; `;` is data, a name without `=` has an
//! empty value.

use std::borrow::Cow;
use std::collections::HashMap;

use super::super::ascii::push_text;
use super::super::decode;
use super::headers::close;

/// Up to so many names are searched one by one.
const FEW: usize = 16;

/// Appends both maps: the last value of each name, then all of them in order.
pub(super) fn push(out: &mut Vec<u8>, text: &str) {
    if text.is_empty() {
        return out.extend(br#","queryStringParameters":{},"multiValueQueryStringParameters":{}"#);
    }
    let parameters = by_name(text);
    out.extend(br#","queryStringParameters":{"#);
    for (name, values) in &parameters {
        push_text(out, name);
        out.push(b':');
        push_text(out, values.last().map_or("", |value| value));
        out.push(b',');
    }
    close(out, b'}');
    out.extend(br#","multiValueQueryStringParameters":{"#);
    for (name, values) in &parameters {
        push_text(out, name);
        out.extend(b":[");
        for value in values {
            push_text(out, value);
            out.push(b',');
        }
        close(out, b']');
        out.push(b',');
    }
    close(out, b'}');
}

/// Values of a name, in the order in which they came; names in the order of their first value.
fn by_name(text: &str) -> Vec<(Cow<'_, str>, Vec<Cow<'_, str>>)> {
    let mut all: Vec<(Cow<'_, str>, Vec<Cow<'_, str>>)> = Vec::new();
    // A caller may send thousands of names, which must not cost the square of their number.
    let mut places: HashMap<Cow<'_, str>, usize> = HashMap::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode::form(name), decode::form(value));
        let place = if all.len() <= FEW {
            all.iter().position(|(known, _)| *known == name)
        } else {
            if places.is_empty() {
                places.extend(all.iter().enumerate().map(|(place, (known, _))| (known.clone(), place)));
            }
            places.get(&name).copied()
        };
        if let Some(place) = place {
            all[place].1.push(value);
            continue;
        }
        if !places.is_empty() {
            places.insert(name.clone(), all.len());
        }
        all.push((name, vec![value]));
    }
    all
}
