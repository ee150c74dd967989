//! JSON as LUKS2 needs it: strict (no member twice, bounded depth and number of values), in its order, with every number
//! as it was written, so that what we do not know is written back as it was.

use std::fmt;

use serde::Deserializer;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::Luks2Violation;

/// As json-c, and thereby cryptsetup, counts: the outermost object is the first level.
const MAX_DEPTH: usize = 32;
const MAX_VALUES: usize = 1 << 16;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Json {
    /// `null`, `true`, `false` or a number, as written
    Literal(String),
    String(String),
    Array(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Json {
    /// Reads one value and nothing behind it.
    pub(crate) fn parse(text: &str) -> Result<Self, Luks2Violation> {
        let raw: &RawValue = serde_json::from_str(text).map_err(|error| Luks2Violation::Json(error.to_string()))?;
        Reader { values: 0 }.read(raw.get(), 1)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        members.iter().find(|(member, _)| member == name).map(|(_, value)| value)
    }
}

/// For changes. All of these do nothing where there is no such member.
impl Json {
    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Self> {
        let Self::Object(members) = self else { return None };
        members.iter_mut().find(|(member, _)| member == name).map(|(_, value)| value)
    }

    pub(crate) fn insert(&mut self, name: String, value: Self) {
        if let Self::Object(members) = self {
            members.push((name, value));
        }
    }

    pub(crate) fn remove(&mut self, name: &str) {
        if let Self::Object(members) = self {
            members.retain(|(member, _)| member != name);
        }
    }

    /// Adds the string to the array.
    pub(crate) fn push(&mut self, text: String) {
        if let Self::Array(items) = self {
            items.push(Self::String(text));
        }
    }

    /// Takes the string out of the array `list` of every member.
    pub(crate) fn drop_references(&mut self, list: &str, text: &str) {
        let Self::Object(members) = self else { return };
        for (_, member) in members {
            if let Some(Self::Array(items)) = member.get_mut(list) {
                items.retain(|item| !matches!(item, Self::String(item) if item == text));
            }
        }
    }
}

/// Compact, slashes unescaped.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let string = |text: &str| serde_json::to_string(text).map_err(|_| fmt::Error);
        match self {
            Self::Literal(text) => f.write_str(text),
            Self::String(text) => f.write_str(&string(text)?),
            Self::Array(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index == 0 { "" } else { "," })?;
                }
                f.write_str("]")
            }
            Self::Object(members) => {
                f.write_str("{")?;
                for (index, (name, value)) in members.iter().enumerate() {
                    write!(f, "{}{}:{value}", if index == 0 { "" } else { "," }, string(name)?)?;
                }
                f.write_str("}")
            }
        }
    }
}

struct Reader {
    values: usize,
}

impl Reader {
    fn read(&mut self, text: &str, depth: usize) -> Result<Json, Luks2Violation> {
        let syntax = |error: serde_json::Error| Luks2Violation::Json(error.to_string());
        match text.as_bytes().first() {
            Some(b'{' | b'[') if depth > MAX_DEPTH => Err(Luks2Violation::Depth),
            Some(b'{') => {
                let members = self.bounded(|list| serde_json::Deserializer::from_str(text).deserialize_map(list))?;
                let mut object: Vec<(String, Json)> = Vec::with_capacity(members.len());
                for (name, value) in members {
                    let value = self.read(value.get(), depth + 1)?;
                    object.push((name, value));
                }
                let mut names: Vec<&str> = object.iter().map(|(name, _)| name.as_str()).collect();
                names.sort_unstable();
                match names.iter().zip(names.iter().skip(1)).find(|(name, next)| name == next) {
                    Some((name, _)) => Err(Luks2Violation::Duplicate((*name).to_owned())),
                    None => Ok(Json::Object(object)),
                }
            }
            Some(b'[') => {
                let items = self.bounded(|list| serde_json::Deserializer::from_str(text).deserialize_seq(list))?;
                items
                    .into_iter()
                    .map(|(_, item)| self.read(item.get(), depth + 1))
                    .collect::<Result<_, _>>()
                    .map(Json::Array)
            }
            Some(b'"') => serde_json::from_str(text).map(Json::String).map_err(syntax),
            _ => Ok(Json::Literal(text.to_owned())),
        }
    }

    /// The members of one object or the items of one array, if the values do not get too many.
    fn bounded<'a>(
        &mut self,
        read: impl FnOnce(Values) -> serde_json::Result<Vec<(String, &'a RawValue)>>,
    ) -> Result<Vec<(String, &'a RawValue)>, Luks2Violation> {
        let left = MAX_VALUES - self.values;
        let values = read(Values { left }).map_err(|error| match error.to_string() {
            // The visitor cannot give an error of another type.
            text if text.starts_with(TOO_MANY) => Luks2Violation::Values,
            text => Luks2Violation::Json(text),
        })?;
        self.values += values.len();
        Ok(values)
    }
}

const TOO_MANY: &str = "too many values";

struct Values {
    left: usize,
}

impl<'de> Visitor<'de> for Values {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(member) = map.next_entry()? {
            self.push(&mut values, member)?;
        }
        Ok(values)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(item) = seq.next_element()? {
            self.push(&mut values, (String::new(), item))?;
        }
        Ok(values)
    }
}

impl Values {
    fn push<T, E: Error>(&self, values: &mut Vec<T>, value: T) -> Result<(), E> {
        if values.len() == self.left {
            return Err(E::custom(TOO_MANY));
        }
        values.push(value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_back_value_for_value() {
        for text in [
            r#"{"b":1,"a":[true,null,-0.10,1e400,123456789012345678901234567890],"":{}}"#,
            r#"["a/b","\u0001\"\\","é",[],{"x":""}]"#,
        ] {
            assert_eq!(Json::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_member_that_is_there_twice_is_named_at_any_depth() {
        let twice = Err(Luks2Violation::Duplicate("a".to_owned()));
        assert_eq!(Json::parse(r#"{"a":1,"b":2,"a":3}"#), twice);
        assert_eq!(Json::parse(r#"{"x":[{"a":1,"\u0061":3}]}"#), twice);
    }

    #[test]
    fn depth_32_is_read_and_33_is_not() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(Json::parse(&nested(32)).is_ok());
        assert_eq!(Json::parse(&nested(33)), Err(Luks2Violation::Depth));
        assert_eq!(Json::parse(&nested(100_000)), Err(Luks2Violation::Depth));
    }

    #[test]
    fn more_than_65536_values_are_refused() {
        let array = |values: usize| format!("[[{}0]]", "0,".repeat(values - 2));
        assert!(Json::parse(&array(MAX_VALUES)).is_ok());
        assert_eq!(Json::parse(&array(MAX_VALUES + 1)), Err(Luks2Violation::Values));
    }
}
