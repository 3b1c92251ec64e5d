//! JSON as Go's decoder reads it, which wrote and reads most of it: null is what is not there.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de};

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
