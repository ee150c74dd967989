//! JSON in which no object has a member twice.
//!
//! Readers differ in which of two members counts, so that what one checks another does not use (RFC 8259 section 4). A
//! name written with an escape is the same name.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// A document, which has to be an object.
pub(crate) fn object(document: &[u8]) -> Result<Map<String, Value>, serde_json::Error> {
    match serde_json::from_slice::<Unique>(document)?.0 {
        Value::Object(object) => Ok(object),
        _ => Err(de::Error::custom("it is not an object")),
    }
}

struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any).map(Self)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Unique(value)) = access.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some((name, Unique(value))) = access.next_entry::<String, _>()? {
            if members.contains_key(&name) {
                return Err(de::Error::custom(format_args!("the member {name:?} is there twice")));
            }
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_is_there_twice_is_refused_at_any_depth() {
        for document in [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":1}"#, r#"{"b":[{"c":{"a":1,"a":2}}]}"#] {
            let refused = object(document.as_bytes()).unwrap_err().to_string();
            assert!(refused.starts_with(r#"the member "a" is there twice"#), "{refused}");
        }
        let fine = r#"{"a":{"a":[18446744073709551615,-1,1.5,null,true,"x"]},"b":{"a":1}}"#;
        assert_eq!(Value::Object(object(fine.as_bytes()).unwrap()), serde_json::from_str::<Value>(fine).unwrap());
    }

    #[test]
    fn anything_but_an_object_is_refused() {
        for document in ["", "null", "[]", "1", "{", "\u{feff}{}", "{} {}"] {
            assert!(object(document.as_bytes()).is_err(), "{document}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let deep = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
        assert!(object(deep.as_bytes()).unwrap_err().to_string().starts_with("recursion limit exceeded"));
    }
}
