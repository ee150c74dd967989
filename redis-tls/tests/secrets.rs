//! What is secret appears in no `Debug`, `Display`, label, explanation or error.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::error::Error;
use std::fmt::Debug;
use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials as AwsCredentials;
use proptest::prelude::*;
use redis_tls::{
    AuthToken, Cache, Candidates, CredentialSource, Credentials, IamCredentials, IamToken, Password, RedisEndpoint,
    RotatingCredentials, StaticCredentials,
};

/// Longer than anything that appears by chance.
const SECRET: &str = "[!-~]{20,120}";

proptest! {
    #[test]
    fn an_auth_token_appears_nowhere(token in SECRET, fault in 0..4) {
        let text = match fault {
            0 => format!("{token}\n"),
            1 => format!("\u{e9}{token}"),
            2 => token.repeat(7),
            _ => token.clone(),
        };
        let shown = match AuthToken::new(text) {
            Ok(accepted) => {
                let warnings: String = accepted.warnings().iter().map(|w| format!("{w} {w:?}")).collect();
                both(&accepted) + &warnings + &everything(Credentials::token(accepted))
            }
            Err(error) => error_text(&error),
        };
        prop_assert!(hidden(&token, &shown), "{shown}");
    }

    #[test]
    fn a_password_appears_nowhere(password in SECRET) {
        let shown = both(&Password::new(&*password))
            + &everything(Credentials::user("app".parse().unwrap(), Password::new(&*password)));
        prop_assert!(hidden(&password, &shown), "{shown}");
    }

    #[test]
    fn a_password_in_an_endpoint_appears_in_no_error(
        password in "[!-~]{20,60}",
        shape in 0..4,
    ) {
        let text = match shape {
            0 => format!("rediss://:{password}@localhost:6379"),
            1 => format!("redis://user:{password}@localhost"),
            2 => format!("user:{password}@localhost"),
            _ => format!("localhost?password={password}"),
        };
        let shown = error_text(&text.parse::<RedisEndpoint>().unwrap_err());
        prop_assert!(hidden(&password, &shown), "{shown}");
    }

    #[test]
    fn of_an_iam_token_neither_credentials_nor_signature_appear(
        secret in SECRET,
        session in proptest::option::of(SECRET),
        fault in 0..5,
    ) {
        let now = UNIX_EPOCH + Duration::from_secs(1_795_314_645);
        let bad = |text: &str, is_bad| if is_bad { format!("{text}\n") } else { text.to_owned() };
        let session_given = session.as_ref().map(|session| bad(session, fault == 1));
        let expires = (fault == 2).then_some(now);
        let aws = AwsCredentials::new("AKIDEXAMPLE", bad(&secret, fault == 0), session_given, expires, "test");
        let cache = Cache::serverless("cache-01".parse().unwrap(), "us-east-1".parse().unwrap());
        let source = IamCredentials::new(cache.clone(), "app".parse().unwrap(), aws.clone());

        let mut shown = both(&source);
        let mut secrets = vec![secret];
        secrets.extend(session);
        match IamToken::sign(&cache, "app", &aws, now) {
            Ok(token) => {
                let (_, signature) = token.expose_secret().split_once("X-Amz-Signature=").unwrap();
                secrets.extend([signature.to_owned(), token.expose_secret().to_owned()]);
                shown += &(both(&token) + &token.explain() + token.string_to_sign());
                shown += &asked(&source);
            }
            Err(error) => shown += &error_text(&error),
        }
        for secret in &secrets {
            prop_assert!(hidden(secret, &shown), "{shown}");
        }
    }
}

#[test]
fn the_search_finds_what_is_shown() {
    let secret = "correct-horse/battery+staple";
    for shown in [secret.to_owned(), format!("{secret:?}"), percent_encode(secret), format!("{:?}", secret.as_bytes())]
    {
        assert!(!hidden(secret, &format!("before {shown} after")), "{shown}");
    }
    assert!(hidden(secret, "[hidden]"));
}

/// The text form of everything that is made of the credentials.
fn everything(credentials: Credentials) -> String {
    let label = credentials.label().to_owned();
    let source = RotatingCredentials::new(credentials);
    let mut shown = both(&source) + &both(&*source.status().borrow()) + &asked(&source) + &label;
    source.stage(Credentials::none());
    shown += &both(&*source.status().borrow());
    let candidates = block_on(source.credentials()).unwrap();
    let last = candidates.iter().last().unwrap().clone();
    let fixed = StaticCredentials::new(Candidates::new(last.clone()).or(last));
    shown + &both(&candidates) + &both(&fixed) + &asked(&fixed)
}

fn asked(source: &impl CredentialSource) -> String {
    match block_on(source.credentials()) {
        Ok(candidates) => candidates.iter().map(|c| both(c) + c.label()).collect(),
        Err(error) => error_text(&error),
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn hidden(secret: &str, shown: &str) -> bool {
    let escaped = format!("{secret:?}");
    let forms = [
        secret.to_owned(),
        escaped.trim_matches('"').to_owned(),
        percent_encode(secret),
        format!("{:?}", secret.as_bytes()).trim_matches(['[', ']']).to_owned(),
        hex::encode(secret),
    ];
    !forms.iter().any(|form| shown.contains(form.as_str()))
}

fn both(value: &impl Debug) -> String {
    format!("{value:?}\n{value:#?}\n")
}

fn error_text(error: &dyn Error) -> String {
    let mut text = format!("{error:?}\n{error:#?}\n");
    let mut next = Some(error);
    while let Some(error) = next {
        text += &format!("{error}\n{error:?}\n");
        next = error.source();
    }
    text
}

fn percent_encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
        .to_string()
        .replace("%2D", "-")
        .replace("%2E", ".")
        .replace("%5F", "_")
        .replace("%7E", "~")
}
