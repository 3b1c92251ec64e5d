//! JSON as Go's decoder reads it, which wrote and reads most of it: null is what is not there, and names may be written
//! in any case.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};

/// Names whose values have names of somebody else's choice.
const FREE: [&str; 1] = ["annotations"];

/// Reads `bytes`, in which each of `names` may be written in any case. Of a name that comes twice, the last counts.
///
/// # Errors
/// Also a name in two cases: two readers would read two things.
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8], names: &[&str]) -> serde_json::Result<T> {
    serde_json::from_value(with_names(serde_json::from_slice(bytes)?, names)?)
}

/// `value` with `names` as they are written here.
pub fn with_names(value: Value, names: &[&str]) -> serde_json::Result<Value> {
    match value {
        Value::Array(values) => values.into_iter().map(|it| with_names(it, names)).collect(),
        Value::Object(fields) => {
            let mut read = Map::new();
            for (written, value) in fields {
                let name = names
                    .iter()
                    .find(|name| name.eq_ignore_ascii_case(&written));
                let value = match name {
                    Some(name) if FREE.contains(name) => value,
                    _ => with_names(value, names)?,
                };
                let name = name.map_or(written, |name| (*name).to_owned());
                if read.contains_key(&name) {
                    return Err(de::Error::custom(format!(
                        "`{name}` is there in two spellings"
                    )));
                }
                read.insert(name, value);
            }
            Ok(Value::Object(read))
        }
        value => Ok(value),
    }
}

/// `null` as the type's default.
pub(super) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Annotations, whose values may be `null`.
pub(super) fn annotations<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<BTreeMap<String, String>>, D::Error> {
    let read: Option<BTreeMap<String, Option<String>>> = Option::deserialize(deserializer)?;
    Ok(read.map(|it| {
        let values = it.into_iter();
        values
            .map(|(key, value)| (key, value.unwrap_or_default()))
            .collect()
    }))
}

/// A size in bytes. Go keeps it in 63 bits, so nobody has made a larger blob.
pub(super) fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let size: Option<u64> = Option::deserialize(deserializer)?;
    match size.unwrap_or_default() {
        size if i64::try_from(size).is_ok() => Ok(size),
        size => Err(de::Error::custom(format!("no blob has {size} bytes"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_may_be_written_in_any_case_and_in_one_only() {
        let read = |text: &str| from_slice::<Value>(text.as_bytes(), &["layers", "annotations"]);
        let text = r#"{"Layers":[{"LAYERS":1}],"other":{"Annotations":{"Layers":"as it is"}}}"#;
        let folded = json!({"layers":[{"layers":1}],"other":{"annotations":{"Layers":"as it is"}}});
        assert_eq!(read(text).unwrap(), folded);
        assert_eq!(
            read(r#"{"layers":1,"layers":2}"#).unwrap(),
            json!({"layers":2})
        );
        let error = read(r#"{"layers":1,"Layers":2}"#).unwrap_err().to_string();
        assert!(
            error.contains("`layers` is there in two spellings"),
            "{error}"
        );
    }
}
