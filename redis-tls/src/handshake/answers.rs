//! What the server answered, command by command, and what that amounts to.

use super::{AuthForm, Wishes, pipeline::Command, refusal::Refusal};
use crate::{Credentials, HandshakeError, Protocol, ProtocolChoice, ServerInfo, ServerRole, resp::Reply};

pub(super) struct Answers {
    pub(super) verdict: Verdict,
    pub(super) open: Option<bool>,
    form: AuthForm,
    older: Option<AuthForm>,
    user: Option<String>,
    insisting: bool,
    database: u16,
    server: Option<ServerInfo>,
    role: Option<ServerRole>,
    /// The first thing that was asked for and not had, in the name of whom the credentials are for.
    failed: Option<HandshakeError>,
}

/// On the credentials.
pub(super) enum Verdict {
    Accepted,
    WrongPassword,
    /// The form in which they were presented is not known; this one may be.
    OtherForm(AuthForm),
}

impl Answers {
    pub(super) fn new(form: AuthForm, credentials: &Credentials, wishes: &Wishes) -> Self {
        Self {
            verdict: Verdict::Accepted,
            open: None,
            form,
            older: form.older(credentials),
            user: credentials.username().map(|user| user.as_str().to_owned()),
            insisting: wishes.protocol == ProtocolChoice::Resp3,
            database: wishes.database,
            server: None,
            role: None,
            failed: None,
        }
    }

    /// An error is final: nothing after it can be of use.
    pub(super) fn take(&mut self, command: Command, reply: &Reply<'_>) -> Result<(), HandshakeError> {
        let refusal = match reply {
            Reply::Error(text) => Some(Refusal::of(text)),
            _ => None,
        };
        // Said to whoever connects, before the connection is closed.
        if let Some(refusal @ (Refusal::TooManyClients | Refusal::ProtectedMode)) = refusal {
            return Err(refusal.of_command("PING", self.database));
        }
        match (command, refusal) {
            (Command::Knock, None) => self.open = Some(true),
            (Command::Knock, Some(Refusal::AuthenticationRequired)) => self.open = Some(false),
            // Redis asks for authentication before anything else, so that these were let in.
            (Command::Knock, Some(Refusal::Loading | Refusal::PrimaryDown)) => self.open = Some(true),
            (Command::Knock | Command::Courtesy, Some(_)) | (Command::Courtesy, None) => {}
            (Command::Hello, None) => {
                let introduced = ServerInfo::introduced(reply);
                let malformed = HandshakeError::Malformed { what: "HELLO is answered without a protocol version" };
                self.server = Some(introduced.ok_or(malformed)?);
            }
            (Command::Auth, None) if reply.text() == Some("OK") => {}
            (Command::Auth, None) => return Err(HandshakeError::Malformed { what: "AUTH is not answered by OK" }),
            (Command::Hello, Some(refusal)) => return self.hello_refused(refusal),
            (Command::Auth, Some(refusal)) => return self.auth_refused(refusal),
            (Command::Role, None) => {
                if let Reply::List(parts) = reply {
                    self.role = parts.first().and_then(Reply::text).and_then(ServerRole::named);
                }
            }
            // A user who may not ask learns nothing; that is no reason not to be served.
            (Command::Role, Some(_)) => {}
            (Command::Select, Some(refusal)) => self.fail(refusal, "SELECT"),
            (Command::ReadOnly, Some(refusal)) => self.fail(refusal, "READONLY"),
            // It is the answer of a server that works.
            (Command::Ping, Some(Refusal::NoPermission)) => {}
            (Command::Ping, Some(refusal)) => self.fail(refusal, "PING"),
            (Command::Select | Command::ReadOnly | Command::Ping, None) => {}
        }
        Ok(())
    }

    /// What is known of the server once the credentials are accepted and everything was had that was asked for.
    pub(super) fn finish(self, form: AuthForm, wishes: &Wishes) -> Result<ServerInfo, HandshakeError> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        let mut server = self.server.unwrap_or_else(|| ServerInfo::speaking(Protocol::Resp2));
        if let AuthForm::Hello(wanted) = form
            && server.protocol != wanted
        {
            return Err(HandshakeError::Malformed { what: "HELLO agreed to another protocol version" });
        }
        server.role = server.role.or(self.role);
        match (wishes.role, server.role) {
            (Some(wanted), Some(found)) if wanted != found => Err(HandshakeError::WrongRole { wanted, found }),
            _ => Ok(server),
        }
    }

    fn hello_refused(&mut self, refusal: Refusal) -> Result<(), HandshakeError> {
        match refusal {
            Refusal::WrongPassword => self.verdict = Verdict::WrongPassword,
            Refusal::AuthenticationRequired
            | Refusal::NoPasswordSet
            | Refusal::NoPermission
            | Refusal::Loading
            | Refusal::PrimaryDown => return Err(refusal.of_command("HELLO", self.database)),
            // `unknown command` and its likes: proxies put it in words of their own.
            _ if self.insisting => return Err(HandshakeError::ProtocolUnsupported { wanted: Protocol::Resp3 }),
            _ => self.try_older("HELLO", refusal)?,
        }
        Ok(())
    }

    fn auth_refused(&mut self, refusal: Refusal) -> Result<(), HandshakeError> {
        match refusal {
            Refusal::WrongPassword => self.verdict = Verdict::WrongPassword,
            Refusal::WrongArguments => self.try_older("AUTH", refusal)?,
            refusal => return Err(refusal.of_command("AUTH", self.database)),
        }
        Ok(())
    }

    fn try_older(&mut self, command: &'static str, refusal: Refusal) -> Result<(), HandshakeError> {
        match (self.older, &self.user) {
            (Some(older), _) => self.verdict = Verdict::OtherForm(older),
            (None, Some(user)) if self.form == AuthForm::User => {
                return Err(HandshakeError::NoUsers { user: user.clone() });
            }
            (None, _) => return Err(refusal.of_command(command, self.database)),
        }
        Ok(())
    }

    fn fail(&mut self, refusal: Refusal, command: &'static str) {
        let database = self.database;
        self.failed.get_or_insert_with(|| refusal.of_command(command, database));
    }
}
