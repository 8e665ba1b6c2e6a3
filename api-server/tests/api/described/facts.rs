//! The description beside `facts.json`: what the API's document says, field by field, and what clients rely on beyond
//! it. Nothing of it is missing, and what is more is listed there and told in `docs/api.md` or `docs/logs.md`.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Operation, body_of, operations, resolve};
use crate::harness::Server;

const REGION: &str = "/functions/v1alpha2/regions/{region}/";

/// `text?`, `number 1..100 = 20`, `[function]`.
struct Kind<'a> {
    name: &'a str,
    required: bool,
    nullable: bool,
    least: Option<f64>,
    most: Option<f64>,
    default: Option<&'a str>,
}

impl<'a> Kind<'a> {
    fn parse(text: &'a str) -> Self {
        let (kind, default) =
            text.split_once(" = ").map_or((text, None), |(kind, value)| (kind, Some(value)));
        let (name, bounds) = kind.split_once(' ').unwrap_or((kind, ".."));
        let (least, most) = bounds.split_once("..").unwrap();
        Self {
            name: name.trim_end_matches(['?', '!']),
            required: name.ends_with('!'),
            nullable: name.ends_with('?'),
            least: least.parse().ok(),
            most: most.parse().ok(),
            default,
        }
    }
}

/// Both sides, and what was found to differ.
struct Comparison<'a> {
    facts: &'a Value,
    document: &'a Value,
    differences: Vec<String>,
}

impl Comparison<'_> {
    fn check(&mut self, holds: bool, difference: impl FnOnce() -> String) {
        if !holds {
            self.differences.push(difference());
        }
    }

    /// The schema of one value against its kind.
    fn value(&mut self, place: &str, kind: &Kind<'_>, schema: &Value) {
        if let Some(wanted) = kind.default {
            let default = &schema["default"];
            let found = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
            self.check(found == wanted, || format!("{place}: default {found}, not {wanted}"));
        }
        if let Some(options) = schema["anyOf"].as_array() {
            let option = options.iter().find(|option| option["type"] != "null").unwrap();
            self.check(kind.nullable, || format!("{place} may be null"));
            return self.value(place, &Kind { nullable: false, default: None, ..*kind }, option);
        }
        let schema = resolve(self.document, schema);
        for (word, wanted) in [("minimum", kind.least), ("maximum", kind.most)] {
            let found = schema[word].as_f64();
            self.check(wanted.is_none() || found == wanted, || {
                format!("{place}: {word} {found:?}, not {wanted:?}")
            });
        }
        if let Some(element) = kind.name.strip_prefix('[') {
            self.check(schema["type"] == "array", || format!("{place} is no list"));
            let element = Kind::parse(element.trim_end_matches(']'));
            return self.value(place, &element, &schema["items"]);
        }
        let types: Vec<_> = match &schema["type"] {
            Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
            one => one.as_str().into_iter().collect(),
        };
        let null = types.contains(&"null");
        self.check(null == kind.nullable, || {
            format!("{place}: null is {}allowed", if null { "" } else { "not " })
        });
        let facts = self.facts;
        if let Some(values) = facts["enums"][kind.name].as_array() {
            return self.one_of(place, kind.name, values, schema);
        }
        if let Some(fields) = facts["resources"][kind.name].as_object() {
            let more = names(&facts["more"]["resources"][kind.name]);
            return self.members(place, fields, &more, schema, true);
        }
        let wanted = match kind.name {
            "text" => "string",
            "number" => "integer",
            "flag" => "boolean",
            "map" | "object" => "object",
            other => panic!("{place}: {other} is no kind"),
        };
        self.check(types.contains(&wanted), || format!("{place}: {types:?}, not {wanted}"));
        if kind.name == "map" {
            let values = &schema["additionalProperties"]["type"];
            self.check(values == "string", || format!("{place}: a map of {values}"));
        }
    }

    fn one_of(&mut self, place: &str, name: &str, values: &[Value], schema: &Value) {
        let found = schema["enum"].as_array().cloned().unwrap_or_default();
        let open = names(&self.facts["open_enums"]).contains(&name);
        self.check(values.iter().all(|value| found.contains(value)), || {
            format!("{place}: {found:?}, not {values:?}")
        });
        let more: Vec<_> = found.iter().filter(|value| !value.is_null() && !values.contains(value)).collect();
        self.check(open || more.is_empty(), || format!("{place}: {more:?} are not of the document"));
    }

    /// The members of an object: all that are wanted, and none but those and `more`.
    fn members(
        &mut self,
        place: &str,
        wanted: &Map<String, Value>,
        more: &BTreeSet<&str>,
        schema: &Value,
        answered: bool,
    ) {
        let none = Map::new();
        let properties = schema["properties"].as_object().unwrap_or(&none);
        let required = names(&schema["required"]);
        for (name, kind) in wanted {
            let place = format!("{place}.{name}");
            let Some(property) = properties.get(name) else {
                self.differences.push(format!("{place} is missing"));
                continue;
            };
            self.check(!answered || required.contains(name.as_str()), || format!("{place} may be absent"));
            self.value(&place, &Kind::parse(kind.as_str().unwrap()), property);
        }
        for name in properties.keys().filter(|name| !wanted.contains_key(*name)) {
            self.check(more.contains(name.as_str()), || {
                format!("{place}.{name} is in the description and not in facts.json: under `more`, and in the pages?")
            });
        }
    }

    fn query(&mut self, place: &str, wanted: &Map<String, Value>, operation: Operation<'_>) {
        let found = operation.says["parameters"].as_array().unwrap().iter();
        let found: Vec<_> = found.filter(|parameter| parameter["in"] == "query").collect();
        for (name, kind) in wanted {
            let (place, kind) = (format!("{place}?{name}"), Kind::parse(kind.as_str().unwrap()));
            let Some(parameter) = found.iter().find(|parameter| parameter["name"] == name.as_str()) else {
                self.differences.push(format!("{place} is missing"));
                continue;
            };
            let required = &parameter["required"];
            self.check(required == kind.required, || format!("{place}: required is {required}"));
            self.value(&place, &kind, &parameter["schema"]);
        }
        for name in found.iter().map(|parameter| parameter["name"].as_str().unwrap()) {
            self.check(wanted.contains_key(name), || {
                format!("{place}?{name} is in the description and not in facts.json: under `more`, and in the pages?")
            });
        }
    }

    fn operation(&mut self, name: &str, wanted: &Value, operation: Operation<'_>) {
        let both = |part: &str| {
            let mut all = wanted[part].as_object().cloned().unwrap_or_default();
            all.extend(wanted["more"][part].as_object().cloned().unwrap_or_default());
            all
        };
        self.query(name, &both("query"), operation);
        let body = body_of(self.document, operation).cloned().unwrap_or_default();
        self.members(name, &both("body"), &BTreeSet::new(), &body, false);
        let answer = &operation.says["responses"]["200"]["content"]["application/json"]["schema"];
        let place = format!("{name} →");
        match &wanted["answer"] {
            Value::String(kind) => self.value(&place, &Kind::parse(kind), answer),
            Value::Object(_) => {
                let schema = resolve(self.document, answer);
                self.members(&place, &both("answer"), &BTreeSet::new(), schema, true);
            }
            other => panic!("{name} answers {other}"),
        }
    }
}

fn names(list: &Value) -> BTreeSet<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// `GET namespaces/{namespace_id}`, or with the whole path where it is none of the region's.
fn name_of(operation: Operation<'_>) -> String {
    let path = operation.path.strip_prefix(REGION).unwrap_or(operation.path);
    format!("{} {path}", operation.method.to_uppercase())
}

#[tokio::test]
async fn the_description_is_the_documents_field_by_field_and_what_is_more_is_listed() {
    let facts: Value = serde_json::from_str(include_str!("facts.json")).unwrap();
    let server = Server::start().await;
    let document = server.document();
    let mut comparison = Comparison { facts: &facts, document, differences: Vec::new() };
    let described = operations(document);
    let wanted = facts["operations"].as_object().unwrap();
    for (name, wanted) in wanted {
        match described.iter().find(|operation| name_of(**operation) == *name) {
            Some(operation) => comparison.operation(name, wanted, *operation),
            None => comparison.differences.push(format!("{name} is missing")),
        }
    }
    let more = names(&facts["more"]["operations"]);
    for name in described.iter().map(|operation| name_of(*operation)) {
        let known = wanted.contains_key(&name) || more.contains(name.as_str());
        comparison
            .check(known, || format!("{name} is in the description and not in facts.json: under `more`?"));
    }
    assert!(comparison.differences.is_empty(), "{}", comparison.differences.join("\n"));
}

#[test]
fn what_is_more_is_in_the_pages_of_the_api() {
    let facts: Value = serde_json::from_str(include_str!("facts.json")).unwrap();
    let pages = [include_str!("../../../../docs/api.md"), include_str!("../../../../docs/logs.md")].concat();
    let mut more: BTreeSet<_> = BTreeSet::new();
    for names in facts["more"]["resources"].as_object().unwrap().values() {
        more.extend(self::names(names));
    }
    for operation in facts["operations"].as_object().unwrap().values() {
        let parts = operation["more"].as_object().into_iter().flatten();
        more.extend(parts.filter_map(|(_, part)| part.as_object()).flatten().map(|(name, _)| name.as_str()));
    }
    for name in more {
        assert!(pages.contains(&format!("`{name}`")), "docs/api.md and docs/logs.md do not tell `{name}`");
    }
}
