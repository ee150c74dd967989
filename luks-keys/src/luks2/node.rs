//! A value of the JSON that knows its path, for errors that name the place.

use base64ct::{Base64, Encoding};

use super::Luks2Violation;
use super::json::Json;

#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    pub(super) json: &'a Json,
    name: &'a str,
    parent: Option<&'a Self>,
}

impl<'a> Node<'a> {
    pub(super) fn root(json: &'a Json) -> Self {
        Self { json, name: "", parent: None }
    }

    pub(super) fn path(&self) -> String {
        match self.parent {
            None => String::new(),
            Some(parent) if parent.parent.is_none() => self.name.to_owned(),
            Some(parent) => format!("{}.{}", parent.path(), self.name),
        }
    }

    pub(super) fn get(&'a self, name: &'a str) -> Result<Self, Luks2Violation> {
        self.optional(name)?.ok_or_else(|| Luks2Violation::Missing(self.child(self.json, name).path()))
    }

    pub(super) fn optional(&'a self, name: &'a str) -> Result<Option<Self>, Luks2Violation> {
        self.object()?;
        Ok(self.json.get(name).map(|json| self.child(json, name)))
    }

    pub(super) fn object(&self) -> Result<&'a [(String, Json)], Luks2Violation> {
        match self.json {
            Json::Object(members) => Ok(members),
            _ => Err(self.wrong("an object")),
        }
    }

    pub(super) fn members(&'a self) -> Result<impl Iterator<Item = Self>, Luks2Violation> {
        Ok(self.object()?.iter().map(|(name, json)| self.child(json, name)))
    }

    /// The number that names this object.
    pub(super) fn id(&self, highest: u8) -> Result<u8, Luks2Violation> {
        let id = self.name.parse().ok().filter(|id: &u8| *id <= highest && id.to_string() == self.name);
        id.ok_or_else(|| Luks2Violation::Id { path: self.path(), highest })
    }

    pub(super) fn string(&self) -> Result<&'a str, Luks2Violation> {
        match self.json {
            Json::String(text) => Ok(text),
            _ => Err(self.wrong("a string")),
        }
    }

    /// The member `type`, which is never empty.
    pub(super) fn kind(&'a self) -> Result<&'a str, Luks2Violation> {
        let kind = self.get("type")?;
        match kind.string()? {
            "" => Err(Luks2Violation::Value { path: kind.path(), expected: "a type" }),
            text => Ok(text),
        }
    }

    pub(super) fn strings(&self) -> Result<Vec<&'a str>, Luks2Violation> {
        let wrong = || self.wrong("an array of strings");
        let Json::Array(items) = self.json else { return Err(wrong()) };
        let text = |item: &'a Json| match item {
            Json::String(text) => Ok(text.as_str()),
            _ => Err(wrong()),
        };
        items.iter().map(text).collect()
    }

    /// Numbers above 2^53 do not survive every JSON library, so LUKS2 writes them as strings of digits.
    pub(super) fn u64_string(&self) -> Result<u64, Luks2Violation> {
        let digits = match self.json {
            Json::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text,
            _ => return Err(self.wrong("a string of digits")),
        };
        digits.parse().map_err(|_| self.wrong("a string of digits, up to 2^64-1"))
    }

    pub(super) fn int(&self) -> Result<i64, Luks2Violation> {
        match self.json {
            Json::Literal(text) => text.parse().map_err(|_| self.wrong("an integer")),
            _ => Err(self.wrong("an integer")),
        }
    }

    pub(super) fn positive(&self) -> Result<u32, Luks2Violation> {
        let number = u32::try_from(self.int()?).ok().filter(|number| *number > 0);
        number.ok_or_else(|| self.wrong("an integer from 1 to 2^32-1"))
    }

    pub(super) fn base64(&self) -> Result<Vec<u8>, Luks2Violation> {
        Base64::decode_vec(self.string()?).map_err(|_| self.wrong("base64 with padding"))
    }

    pub(super) fn salt<const N: usize>(&self) -> Result<[u8; N], Luks2Violation> {
        self.base64()?.try_into().map_err(|_| self.wrong("base64 of 32 bytes"))
    }

    pub(super) fn wrong(&self, expected: &'static str) -> Luks2Violation {
        Luks2Violation::Value { path: self.path(), expected }
    }

    fn child(&'a self, json: &'a Json, name: &'a str) -> Self {
        Self { json, name, parent: Some(self) }
    }
}
