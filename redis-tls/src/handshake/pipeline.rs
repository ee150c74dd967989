//! What is sent, all of it in one write.

use zeroize::Zeroizing;

use super::{AuthForm, Wishes};
use crate::{Credentials, Protocol, Username, resp::write_command};

/// Commands and their bytes.
pub(super) struct Pipeline {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    pub(super) commands: Vec<Command>,
}

/// A command whose answer is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// A `PING` before authentication.
    Knock,
    Hello,
    Auth,
    /// One whose refusal changes nothing: names for `CLIENT LIST`.
    Courtesy,
    Role,
    Select,
    ReadOnly,
    Ping,
}

impl Pipeline {
    pub(super) fn new(form: AuthForm, credentials: &Credentials, wishes: &Wishes) -> Self {
        let secret = credentials.expose_secret();
        // Grown buffers leave the secret behind where they were.
        let room =
            1024 + secret.map_or(0, str::len) + wishes.client_name.as_ref().map_or(0, |name| name.as_str().len());
        let mut pipeline = Self { bytes: Zeroizing::new(Vec::with_capacity(room)), commands: Vec::with_capacity(8) };
        if wishes.ask_whether_open && secret.is_some() {
            pipeline.push(Command::Knock, &["PING"]);
        }
        pipeline.authenticate(form, credentials, wishes);
        pipeline.push(Command::Courtesy, &["CLIENT", "SETINFO", "LIB-NAME", env!("CARGO_PKG_NAME")]);
        pipeline.push(Command::Courtesy, &["CLIENT", "SETINFO", "LIB-VER", env!("CARGO_PKG_VERSION")]);
        if wishes.role.is_some() && !matches!(form, AuthForm::Hello(_)) {
            pipeline.push(Command::Role, &["ROLE"]);
        }
        if wishes.database != 0 {
            pipeline.push(Command::Select, &["SELECT", &wishes.database.to_string()]);
        }
        if wishes.read_from_replica {
            pipeline.push(Command::ReadOnly, &["READONLY"]);
        }
        // Without credentials, nothing else shows whether the server serves us.
        if wishes.ping || secret.is_none() {
            pipeline.push(Command::Ping, &["PING"]);
        }
        pipeline
    }

    fn authenticate(&mut self, form: AuthForm, credentials: &Credentials, wishes: &Wishes) {
        let user = credentials.username().map_or(Username::DEFAULT, Username::as_str);
        let name = wishes.client_name.as_ref().map(|name| name.as_str());
        match (form, credentials.expose_secret()) {
            (AuthForm::Hello(protocol), secret) => {
                let version = match protocol {
                    Protocol::Resp2 => "2",
                    Protocol::Resp3 => "3",
                };
                let mut words = vec!["HELLO", version];
                words.extend(secret.into_iter().flat_map(|secret| ["AUTH", user, secret]));
                words.extend(name.into_iter().flat_map(|name| ["SETNAME", name]));
                self.push(Command::Hello, &words);
                return;
            }
            (AuthForm::User, Some(secret)) => self.push(Command::Auth, &["AUTH", user, secret]),
            (AuthForm::Secret, Some(secret)) => self.push(Command::Auth, &["AUTH", secret]),
            (AuthForm::User | AuthForm::Secret, None) => {}
        }
        if let Some(name) = name {
            self.push(Command::Courtesy, &["CLIENT", "SETNAME", name]);
        }
    }

    fn push(&mut self, command: Command, words: &[&str]) {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        write_command(&mut self.bytes, &words);
        self.commands.push(command);
    }
}
