//! `docs/sync.schema.json` says what the reader of our own form reads.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::*;

fn entry() -> Value {
    let schema: Value =
        serde_json::from_str(include_str!("../../../../docs/sync.schema.json")).unwrap();
    schema["$defs"]["entry"].clone()
}

fn read_entry(entry: &Map<String, Value>) -> Result<Request, String> {
    read_text(&Value::from(entry.clone()).to_string())
}

#[test]
fn its_keys_are_those_of_the_reader() {
    let entry = entry();
    let properties = entry["properties"].as_object().unwrap();
    let known: BTreeSet<&str> = formats::KEYS.iter().copied().collect();
    assert_eq!(
        properties
            .keys()
            .map(String::as_str)
            .collect::<BTreeSet<_>>(),
        known
    );
    assert_eq!(entry["additionalProperties"], false);

    let whole = |key: &str| (key.to_owned(), properties[key]["examples"][0].clone());
    let required = entry["required"].as_array().unwrap();
    let least: Map<String, Value> = required
        .iter()
        .map(|it| whole(it.as_str().unwrap()))
        .collect();
    read_entry(&least).unwrap();
    for key in least.keys() {
        let mut less = least.clone();
        less.remove(key);
        let said = read_entry(&less).unwrap_err();
        assert!(said.contains(&format!("`{key}` is missing")), "{said}");
    }
    let mut more = least.clone();
    more.insert("other".to_owned(), json!("x"));
    assert!(
        read_entry(&more)
            .unwrap_err()
            .contains("unknown key `other`")
    );
}

#[test]
fn its_examples_are_read_and_others_are_not() {
    let entry = entry();
    let least = json!({"source": "docker.io/acme/app", "targets": "quay.io/acme/app"});
    let with = |key: &str, value: &Value| {
        let mut all = least.as_object().unwrap().clone();
        all.insert(key.to_owned(), value.clone());
        read_entry(&all)
    };
    for (key, property) in entry["properties"].as_object().unwrap() {
        let examples = property["examples"].as_array().unwrap();
        for value in examples {
            with(key, value).unwrap_or_else(|said| panic!("{key} {value}: {said}"));
        }
        if let Some(values) = property["enum"].as_array() {
            assert_eq!(values, examples);
        }
        // As the schema has it, nothing of these is any key's value.
        for wrong in [json!({"a": "b"}), json!(""), json!([]), json!(null)] {
            assert!(with(key, &wrong).is_err(), "{key} {wrong}");
        }
    }
    with("tags", &json!([1.5, 3])).unwrap();
    for (key, wrong) in [
        ("attestations", json!("maybe")),
        ("lenient", json!("maybe")),
        ("missing-platform", json!("maybe")),
    ] {
        assert!(with(key, &wrong).is_err(), "{key}");
    }
}
