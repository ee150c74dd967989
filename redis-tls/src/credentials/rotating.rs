//! Two secrets at once, while one takes the place of the other.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use super::{Candidates, CredentialError, CredentialSource, Credentials};

/// The current credentials and, during a rotation, the next ones, which are tried first.
///
/// For AUTH tokens of ElastiCache (`ROTATE`, then `SET`) and for users with two passwords. No connection fails at any
/// moment of it:
/// 1. [`stage`](Self::stage) the new secret, everywhere. Servers that do not know it yet refuse it, and the current one follows.
/// 2. Set it at the server: `aws elasticache modify-replication-group --auth-token-update-strategy ROTATE`. Both are
///    valid now, and new connections come in by the new one.
/// 3. Once [`status`](Self::status) shows that the next one is accepted and the current one is no longer needed,
///    [`promote`](Self::promote) it and end the old one at the server (`--auth-token-update-strategy SET`).
///
/// Connections that are open keep the identity they have.
///
/// ```
/// use redis_tls::{AuthToken, Credentials, RotatingCredentials};
/// let source = RotatingCredentials::new(Credentials::token(AuthToken::new("the-token-of-today")?));
/// source.stage(Credentials::token(AuthToken::new("the-token-of-tomorrow")?));
/// assert!(source.status().borrow().next.is_some());
/// source.promote();
/// assert_eq!(source.status().borrow().current.label, "AUTH token #2 (current)");
/// # Ok::<(), redis_tls::AuthTokenError>(())
/// ```
#[derive(Debug)]
pub struct RotatingCredentials {
    state: watch::Sender<RotationStatus>,
}

/// The state of [`RotatingCredentials`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RotationStatus {
    /// What is valid today. Tried last.
    pub current: SecretStatus,
    /// What takes its place. Tried first.
    pub next: Option<SecretStatus>,
    staged: u32,
}

/// One of the two secrets, and how it fared since the last [`stage`](RotatingCredentials::stage),
/// [`promote`](RotatingCredentials::promote) or [`withdraw`](RotatingCredentials::withdraw).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SecretStatus {
    /// What it is, such as `AUTH token #2 (next)`.
    pub label: String,
    /// How often a server accepted it.
    pub accepted: u64,
    /// How often a server refused it.
    pub refused: u64,
    credentials: Arc<Credentials>,
    name: String,
}

impl RotatingCredentials {
    /// `current` alone, as #1.
    pub fn new(current: Credentials) -> Self {
        let name = format!("{} #1", current.label());
        let current = SecretStatus::new(&current, name, "current");
        Self { state: watch::Sender::new(RotationStatus { current, next: None, staged: 1 }) }
    }

    /// Tries `next` first from now on. Takes the place of what was staged before.
    pub fn stage(&self, next: Credentials) {
        self.state.send_modify(|status| {
            status.staged = status.staged.saturating_add(1);
            let name = format!("{} #{}", next.label(), status.staged);
            status.next = Some(SecretStatus::new(&next, name, "next"));
            status.current = status.current.anew("current");
        });
    }

    /// Makes the next credentials the current ones and forgets the old. Without next ones nothing happens; `false` then.
    pub fn promote(&self) -> bool {
        self.state.send_if_modified(|status| {
            let next = status.next.take();
            next.map(|next| status.current = next.anew("current")).is_some()
        })
    }

    /// Forgets the next credentials. Without next ones nothing happens; `false` then.
    pub fn withdraw(&self) -> bool {
        self.state.send_if_modified(|status| {
            let next = status.next.take();
            next.map(|_| status.current = status.current.anew("current")).is_some()
        })
    }

    /// The state, now and whenever it changes.
    pub fn status(&self) -> watch::Receiver<RotationStatus> {
        self.state.subscribe()
    }

    fn count(&self, credentials: &Credentials, counter: fn(&mut SecretStatus) -> &mut u64) {
        self.state.send_if_modified(|status| {
            let known = std::iter::once(&mut status.current).chain(&mut status.next);
            // One that was promoted or forgotten in the meantime is known under its new label, or not at all.
            let reported = known.into_iter().find(|secret| secret.credentials.has_secret_of(credentials));
            reported.map(|secret| *counter(secret) += 1).is_some()
        });
    }
}

#[async_trait]
impl CredentialSource for RotatingCredentials {
    async fn credentials(&self) -> Result<Candidates, CredentialError> {
        let status = self.state.borrow();
        let current = status.current.credentials.clone();
        Ok(match &status.next {
            Some(next) => Candidates::new(next.credentials.clone()).or(current),
            None => Candidates::new(current),
        })
    }

    fn accepted(&self, credentials: &Credentials) {
        self.count(credentials, |secret| &mut secret.accepted);
    }

    fn refused(&self, credentials: &Credentials) {
        self.count(credentials, |secret| &mut secret.refused);
    }
}

impl SecretStatus {
    fn new(credentials: &Credentials, name: String, role: &str) -> Self {
        let label = format!("{name} ({role})");
        let credentials = Arc::new(credentials.relabelled(label.clone()));
        Self { label, accepted: 0, refused: 0, credentials, name }
    }

    fn anew(&self, role: &str) -> Self {
        Self::new(&self.credentials, self.name.clone(), role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AuthToken, Password};

    fn token(text: &str) -> Credentials {
        Credentials::token(AuthToken::new(text).unwrap())
    }

    async fn tried(source: &RotatingCredentials) -> Vec<(String, String)> {
        let candidates = source.credentials().await.unwrap();
        let shown = |c: &Arc<Credentials>| (c.label().to_owned(), c.expose_secret().unwrap().to_owned());
        candidates.iter().map(shown).collect()
    }

    fn pair(label: &str, secret: &str) -> (String, String) {
        (label.to_owned(), secret.to_owned())
    }

    #[tokio::test]
    async fn the_next_is_tried_first_until_it_is_the_only_one() {
        let source = RotatingCredentials::new(token("the-token-of-today"));
        assert_eq!(tried(&source).await, [pair("AUTH token #1 (current)", "the-token-of-today")]);
        source.stage(token("the-token-of-tomorrow"));
        assert_eq!(
            tried(&source).await,
            [
                pair("AUTH token #2 (next)", "the-token-of-tomorrow"),
                pair("AUTH token #1 (current)", "the-token-of-today"),
            ]
        );
        assert!(source.promote());
        assert_eq!(tried(&source).await, [pair("AUTH token #2 (current)", "the-token-of-tomorrow")]);
        assert!(!source.promote());
        assert_eq!(tried(&source).await, [pair("AUTH token #2 (current)", "the-token-of-tomorrow")]);
    }

    #[tokio::test]
    async fn a_staged_password_can_be_replaced_and_withdrawn() {
        let password = |text: &str| Credentials::user("app".parse().unwrap(), Password::new(text));
        let source = RotatingCredentials::new(password("one"));
        source.stage(password("two"));
        source.stage(password("three"));
        let current = pair("password of user app #1 (current)", "one");
        assert_eq!(tried(&source).await, [pair("password of user app #3 (next)", "three"), current.clone()]);
        assert!(source.withdraw());
        assert!(!source.withdraw());
        assert_eq!(tried(&source).await, [current]);
        assert_eq!(source.credentials().await.unwrap().first().username().unwrap().as_str(), "app");
    }

    #[tokio::test]
    async fn verdicts_are_counted_from_the_last_change_and_wake_whoever_watches() {
        let source = RotatingCredentials::new(token("the-token-of-today"));
        let mut status = source.status();
        let only = source.credentials().await.unwrap();
        source.accepted(only.first());
        assert!(status.has_changed().unwrap());
        assert_eq!(status.borrow_and_update().current.accepted, 1);

        source.stage(token("the-token-of-tomorrow"));
        let both: Vec<_> = source.credentials().await.unwrap().iter().cloned().collect();
        source.refused(&both[0]);
        source.accepted(&both[1]);
        source.accepted(&both[1]);
        let counts = |secret: &SecretStatus| (secret.accepted, secret.refused);
        let seen = status.borrow_and_update().clone();
        assert_eq!((counts(&seen.current), seen.next.as_ref().map(counts)), ((2, 0), Some((0, 1))));

        source.promote();
        source.accepted(&both[0]); // given out as the next, accepted as the current
        source.refused(&both[1]); // no longer known
        let seen = status.borrow_and_update().clone();
        assert_eq!((counts(&seen.current), seen.next.is_some()), ((1, 0), false));
        source.refused(&both[1]);
        assert!(!status.has_changed().unwrap());
    }
}
