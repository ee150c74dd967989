//! The policy document (IAM User Guide, "IAM JSON policy element reference").

use std::collections::BTreeSet;
use std::str::FromStr;

use super::condition::{Condition, Operator};
use super::json::Json;
use super::principal::PrincipalPattern;
use super::wildcard::matches;
use super::{ClientAction, Effect, FileSystemPolicy, PolicyError, Statement};

impl FromStr for FileSystemPolicy {
    type Err = PolicyError;

    fn from_str(document: &str) -> Result<Self, PolicyError> {
        let found = document.chars().count();
        if found > PolicyError::MAX_CHARACTERS {
            return Err(PolicyError::TooLong { found });
        }
        let mut statements = None;
        for (element, value) in object("the policy", serde_json::from_str(document).map_err(PolicyError::Json)?)? {
            match element.as_str() {
                "Version" => choice("Version", value, VERSIONS).map(drop)?,
                "Id" => text("Id", value).map(drop)?,
                "Statement" => statements = Some(read_statements(value)?),
                _ => return Err(unsupported("the policy", element, &["Version", "Id", "Statement"])),
            }
        }
        let statements = statements.ok_or_else(|| missing("the policy", "Statement"))?;
        Ok(Self { statements })
    }
}

/// A list, or a single statement.
fn read_statements(value: Json) -> Result<Vec<Statement>, PolicyError> {
    let list = match value {
        Json::List(list) if !list.is_empty() => list,
        Json::Object(_) => vec![value],
        other => return Err(malformed("Statement", "one or more statements", &other)),
    };
    list.into_iter().enumerate().map(|(index, value)| read_statement(format!("Statement[{index}]"), value)).collect()
}

fn read_statement(place: String, value: Json) -> Result<Statement, PolicyError> {
    let (mut sid, mut effect, mut principals, mut actions) = (None, None, None, None);
    let (mut resources, mut conditions) = (vec!["*".to_owned()], Vec::new());
    for (element, value) in object(&place, value)? {
        let place_of_element = format!("{place}.{element}");
        match element.as_str() {
            "Sid" => sid = Some(text(&place_of_element, value)?),
            "Effect" => {
                effect = Some(match choice(&place_of_element, value, &["Allow", "Deny"])? {
                    "Allow" => Effect::Allow,
                    _ => Effect::Deny,
                });
            }
            "Principal" => principals = Some(read_principals(&place_of_element, value)?),
            "Action" => actions = Some(read_actions(&place_of_element, value)?),
            "Resource" => resources = read_resources(&place_of_element, value)?,
            "Condition" => conditions = read_conditions(&place_of_element, value)?,
            _ => return Err(unsupported(&place, element, STATEMENT_ELEMENTS)),
        }
    }
    Ok(Statement {
        effect: effect.ok_or_else(|| missing(&place, "Effect"))?,
        principals: principals.ok_or_else(|| missing(&place, "Principal"))?,
        actions: actions.ok_or_else(|| missing(&place, "Action"))?,
        resources,
        conditions,
        name: sid.unwrap_or(place),
    })
}

/// `"*"`, or `{"AWS": …}`.
fn read_principals(place: &str, value: Json) -> Result<Vec<PrincipalPattern>, PolicyError> {
    let mut values = Vec::new();
    match value {
        Json::Text(everybody) if everybody == "*" => values.push(everybody),
        Json::Object(kinds) => {
            for (kind, value) in kinds {
                if kind != "AWS" {
                    return Err(unsupported(place, kind, &["AWS"]));
                }
                values = texts(&format!("{place}.AWS"), value)?;
            }
        }
        other => return Err(malformed(place, "\"*\" or {\"AWS\": …}", &other)),
    }
    if values.is_empty() {
        return Err(missing(place, "AWS"));
    }
    let read = |value: String| {
        let place = place.to_owned();
        let expected = "*, an account id, or the ARN of a user, a role or a session, without wildcards";
        let found = format!("{value:?}");
        PrincipalPattern::read(&value).ok_or(PolicyError::Malformed { place, expected, found })
    };
    values.into_iter().map(read).collect()
}

/// Actions are not case-sensitive, and may have wildcards.
fn read_actions(place: &str, value: Json) -> Result<BTreeSet<ClientAction>, PolicyError> {
    let mut actions = BTreeSet::new();
    for pattern in texts(place, value)? {
        let pattern_lower = pattern.to_ascii_lowercase();
        let mut meant = ClientAction::ALL
            .into_iter()
            .filter(|action| matches(&pattern_lower, &action.name().to_ascii_lowercase()))
            .peekable();
        if meant.peek().is_none() {
            return Err(unsupported(place, pattern, ACTIONS));
        }
        actions.extend(meant);
    }
    Ok(actions)
}

fn read_resources(place: &str, value: Json) -> Result<Vec<String>, PolicyError> {
    let resources = texts(place, value)?;
    match resources.iter().find(|resource| *resource != "*" && resource.splitn(6, ':').count() != 6) {
        Some(found) => {
            let expected = "* or the ARN of a file system, which has six parts";
            Err(PolicyError::Malformed { place: place.to_owned(), expected, found: format!("{found:?}") })
        }
        None => Ok(resources),
    }
}

fn read_conditions(place: &str, value: Json) -> Result<Vec<Condition>, PolicyError> {
    let mut conditions = Vec::new();
    for (name, value) in object(place, value)? {
        let Some(operator) = Operator::named(&name) else {
            return Err(unsupported(place, name, Operator::NAMES));
        };
        let place = format!("{place}.{name}");
        for (name, value) in object(&place, value)? {
            let Some(key) = operator.key(&name) else {
                return Err(unsupported(&place, name, operator.keys()));
            };
            let place = format!("{place}.{name}");
            let values = match value {
                Json::Bool(value) if operator == Operator::Bool => vec![value.to_string()],
                value => texts(&place, value)?,
            };
            for value in &values {
                if let Some(expected) = operator.fault_of(value) {
                    return Err(PolicyError::Malformed { place, expected, found: format!("{value:?}") });
                }
            }
            conditions.push(Condition { operator, key, values });
        }
    }
    Ok(conditions)
}

fn object(place: &str, value: Json) -> Result<Vec<(String, Json)>, PolicyError> {
    match value {
        Json::Object(entries) => Ok(entries),
        other => Err(malformed(place, "an object", &other)),
    }
}

/// A string, or a list of one or more.
fn texts(place: &str, value: Json) -> Result<Vec<String>, PolicyError> {
    match value {
        Json::List(values) if !values.is_empty() => values.into_iter().map(|value| text(place, value)).collect(),
        Json::Text(_) => Ok(vec![text(place, value)?]),
        other => Err(malformed(place, "one or more strings", &other)),
    }
}

fn text(place: &str, value: Json) -> Result<String, PolicyError> {
    match value {
        Json::Text(text) if text.contains("${") => Err(PolicyError::Unsupported {
            place: place.to_owned(),
            found: text,
            supported: &["text without the policy variables ${…}"],
        }),
        Json::Text(text) => Ok(text),
        other => Err(malformed(place, "a string", &other)),
    }
}

/// Which one of the `supported` strings it is.
fn choice(place: &str, value: Json, supported: &'static [&'static str]) -> Result<&'static str, PolicyError> {
    let found = text(place, value)?;
    supported.iter().find(|one| **one == found).copied().ok_or_else(|| unsupported(place, found, supported))
}

fn unsupported(place: &str, found: String, supported: &'static [&'static str]) -> PolicyError {
    PolicyError::Unsupported { place: place.to_owned(), found, supported }
}

fn missing(place: &str, element: &'static str) -> PolicyError {
    PolicyError::Missing { place: place.to_owned(), element }
}

fn malformed(place: &str, expected: &'static str, found: &Json) -> PolicyError {
    PolicyError::Malformed { place: place.to_owned(), expected, found: found.describe() }
}

const VERSIONS: &[&str] = &["2012-10-17", "2008-10-17"];
const STATEMENT_ELEMENTS: &[&str] = &["Sid", "Effect", "Principal", "Action", "Resource", "Condition"];
const ACTIONS: &[&str] = &[
    ClientAction::Mount.name(),
    ClientAction::Write.name(),
    ClientAction::RootAccess.name(),
    "wildcards that match one of these",
];
