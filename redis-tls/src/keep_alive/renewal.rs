//! The attempts to authenticate again, one after the other.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use secure_connector::Clock;
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::{
    Authenticated, KeepAlive,
    conversation::Answer,
    schedule::AuthSchedule,
    status::{AuthFailure, AuthPhase, AuthStatus},
};
use crate::{Candidates, CredentialError, Credentials};

/// What is to be done next about the authentication of one connection. It neither reads nor writes.
pub(super) struct Renewal {
    keeper: KeepAlive,
    schedule: Option<AuthSchedule>,
    status: watch::Sender<AuthStatus>,
    step: Step,
    /// Comes when the connection is given up. Not polled while `step` waits: that wait ends by then.
    give_up: Option<Wait>,
}

type Wait = Pin<Box<dyn Future<Output = ()> + Send>>;
type Fetch = Pin<Box<dyn Future<Output = Result<Candidates, CredentialError>> + Send>>;

enum Step {
    /// Nothing, ever.
    Done,
    Wait(Wait),
    Fetch(Fetch),
    /// The first of these is to be presented as soon as an `AUTH` fits in.
    Present(std::vec::IntoIter<Arc<Credentials>>),
    /// It was; the others follow if it is refused.
    Presented(Arc<Credentials>, std::vec::IntoIter<Arc<Credentials>>),
    GivenUp,
}

impl Renewal {
    pub(super) fn new(keeper: KeepAlive, since: Authenticated) -> Self {
        let schedule = keeper.schedule();
        let status = watch::Sender::new(AuthStatus {
            credentials: since.credentials,
            authenticated_at: since.at,
            phase: AuthPhase::Current { until: None },
            renewals: 0,
            failures: 0,
            last_failure: None,
        });
        keeper.count(|totals| totals.connections += 1);
        let mut renewal = Self { keeper, schedule, status, step: Step::Done, give_up: None };
        renewal.rest(since.at);
        renewal
    }

    pub(super) fn status(&self) -> watch::Receiver<AuthStatus> {
        self.status.subscribe()
    }

    /// Goes on as far as it can without the connection. Whoever calls is woken when there is more to do.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) {
        loop {
            match &mut self.step {
                Step::Done | Step::GivenUp => return,
                Step::Wait(wait) => {
                    let Poll::Ready(()) = wait.as_mut().poll(cx) else { return };
                    self.fetch();
                }
                Step::Fetch(fetch) => match fetch.as_mut().poll(cx) {
                    Poll::Ready(Ok(candidates)) => {
                        let all: Vec<_> = candidates.iter().cloned().collect();
                        self.step = Step::Present(all.into_iter());
                    }
                    Poll::Ready(Err(error)) => self.failed(error.into()),
                    Poll::Pending => return self.poll_give_up(cx),
                },
                Step::Present(_) | Step::Presented(..) => return self.poll_give_up(cx),
            }
        }
    }

    fn poll_give_up(&mut self, cx: &mut Context<'_>) {
        if self.give_up.as_mut().is_some_and(|wait| wait.as_mut().poll(cx).is_ready()) {
            self.end();
        }
    }

    /// Whether an `AUTH` waits to be sent.
    pub(super) fn is_due(&self) -> bool {
        matches!(self.step, Step::Present(_))
    }

    pub(super) fn is_given_up(&self) -> bool {
        matches!(self.step, Step::GivenUp)
    }

    /// Whether there is nothing to be done but to wait for a time.
    pub(super) fn is_at_rest(&self) -> bool {
        matches!(self.step, Step::Done | Step::Wait(_))
    }

    /// The command to send, if one is due; it counts as sent.
    pub(super) fn present(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        let Step::Present(candidates) = &mut self.step else { return None };
        let now = self.keeper.clock.now();
        let credentials = candidates.next()?;
        if let Some(at) = credentials.expires().filter(|end| *end <= now) {
            // The wait for a place to send it was too long.
            self.failed(CredentialError::Expired { at }.into());
            return None;
        }
        let Some(command) = auth_command(&credentials) else {
            // A source that says "nothing" has nothing to renew.
            self.step = Step::Done;
            return None;
        };
        let others = std::mem::take(candidates);
        self.step = Step::Presented(credentials, others);
        Some(command)
    }

    /// The server's answer to what was presented.
    pub(super) fn answered(&mut self, answer: &Answer) {
        let (credentials, others) = match std::mem::replace(&mut self.step, Step::Done) {
            Step::Presented(credentials, others) => (credentials, others),
            // Given up meanwhile, which the answer comes too late to change.
            step => return self.step = step,
        };
        let Err(code) = answer.verdict() else {
            self.keeper.source.accepted(&credentials);
            return self.renewed(&credentials);
        };
        let failure = AuthFailure::Refused { credentials: credentials.label().to_owned(), code };
        self.keeper.source.refused(&credentials);
        match others.len() {
            0 => self.failed(failure),
            _ => {
                tracing::debug!(%failure, "the next credentials are tried");
                self.step = Step::Present(others);
            }
        }
    }

    /// The authentication was lost: it is renewed at once.
    pub(super) fn lost(&mut self) {
        if self.is_at_rest() {
            self.fetch();
        }
    }

    /// The client authenticated itself.
    pub(super) fn taken_over(&mut self) {
        if self.status.borrow().phase == AuthPhase::TakenOver {
            return;
        }
        self.stop();
        self.show(|status| status.phase = AuthPhase::TakenOver);
    }

    /// Nothing more is to be done: the connection is being closed.
    pub(super) fn stop(&mut self) {
        self.step = Step::Done;
        self.give_up = None;
    }

    fn fetch(&mut self) {
        let now = self.keeper.clock.now();
        let authenticated_at = self.status.borrow().authenticated_at;
        if self.schedule.is_some_and(|schedule| schedule.give_up_at(authenticated_at) <= now) {
            return self.end();
        }
        let source = Arc::clone(&self.keeper.source);
        self.step = Step::Fetch(Box::pin(async move { source.credentials().await }));
        self.show(|status| status.phase = AuthPhase::Renewing);
    }

    fn renewed(&mut self, credentials: &Credentials) {
        let now = self.keeper.clock.now();
        tracing::debug!(credentials = credentials.label(), "authenticated again");
        self.keeper.count(|totals| totals.renewals += 1);
        self.show(|status| {
            status.credentials = credentials.label().to_owned();
            status.authenticated_at = now;
            status.renewals += 1;
            status.failures = 0;
        });
        self.rest(now);
    }

    fn rest(&mut self, authenticated_at: SystemTime) {
        let until = self.schedule.map(|schedule| schedule.renew_at(authenticated_at, fastrand::f64()));
        self.give_up = self.schedule.map(|schedule| self.wait(schedule.give_up_at(authenticated_at)));
        self.step = until.map_or(Step::Done, |until| Step::Wait(self.wait(until)));
        self.show(|status| status.phase = AuthPhase::Current { until });
    }

    fn failed(&mut self, failure: AuthFailure) {
        let now = self.keeper.clock.now();
        let AuthStatus { authenticated_at, failures, .. } = *self.status.borrow();
        tracing::warn!(error = secure_connector::error_chain(&failure), "cannot authenticate again");
        self.keeper.count(|totals| {
            totals.failures += 1;
            totals.last_failure = Some(failure.clone());
        });
        let schedule = self.schedule.unwrap_or(AuthSchedule::new(Duration::MAX));
        let retry = schedule.retry_at(now, failures, fastrand::f64());
        let until = retry.min(schedule.give_up_at(authenticated_at));
        self.step = Step::Wait(self.wait(until));
        self.show(|status| {
            status.phase = AuthPhase::Retrying { until };
            status.failures = failures.saturating_add(1);
            status.last_failure = Some(failure);
        });
    }

    fn end(&mut self) {
        tracing::warn!("a connection is ended: its authentication runs out and could not be renewed");
        self.step = Step::GivenUp;
        self.keeper.count(|totals| totals.given_up += 1);
        self.show(|status| status.phase = AuthPhase::GivenUp);
    }

    fn show(&self, change: impl FnOnce(&mut AuthStatus)) {
        self.status.send_modify(change);
    }

    fn wait(&self, until: SystemTime) -> Wait {
        Box::pin(wait_until(Arc::clone(&self.keeper.clock), until))
    }
}

/// Looks at the clock every minute: it may be set, and a machine that sleeps does not count the time.
pub(crate) async fn wait_until(clock: Arc<dyn Clock>, until: SystemTime) {
    while let Ok(left) = until.duration_since(clock.now())
        && !left.is_zero()
    {
        tokio::time::sleep(left.min(Duration::from_secs(60))).await;
    }
}

/// `None` where there is no secret.
fn auth_command(credentials: &Credentials) -> Option<Zeroizing<Vec<u8>>> {
    let secret = credentials.expose_secret()?;
    let user = credentials.username().map(crate::Username::as_str);
    let arguments = [Some("AUTH"), user, Some(secret)];
    let arguments = arguments.iter().flatten();
    // Never grown: what a vector leaves behind when it moves is not wiped.
    let mut command = Zeroizing::new(Vec::with_capacity(64 + user.map_or(0, str::len) + secret.len()));
    command.extend_from_slice(format!("*{}\r\n", arguments.clone().count()).as_bytes());
    for argument in arguments {
        command.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        command.extend_from_slice(argument.as_bytes());
        command.extend_from_slice(b"\r\n");
    }
    Some(command)
}

impl fmt::Debug for Renewal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewal").field("status", &*self.status.borrow()).finish_non_exhaustive()
    }
}
