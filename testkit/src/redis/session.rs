//! One connection's dialogue: which requests are let through, in the order of the checks of Redis (`processCommand`).

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use super::Misbehaviour;
use super::command::{Command, Keys};
use super::journal::{Event, Proof};
use super::state::{Shared, State};
use super::topology::{ClusterMode, Role, slot_of};
use super::wire::{Limits, Protocol, Reply};

/// What a connection knows of itself.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: u64,
    pub(crate) node: usize,
    pub(crate) peer: SocketAddr,
    pub(crate) identity: Option<Identity>,
    pub(crate) protocol: Protocol,
    pub(crate) database: usize,
    pub(crate) name: Option<Vec<u8>>,
    pub(crate) transaction: Option<Transaction>,
    /// Keys with the versions that they had.
    pub(crate) watched: Vec<(Vec<u8>, u64)>,
    pub(crate) reads_from_replica: bool,
    pub(crate) requests: u64,
}

/// Whom a connection acts as.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) user: String,
    /// Of an IAM token.
    pub(crate) ends: Option<SystemTime>,
}

#[derive(Debug, Default)]
pub(crate) struct Transaction {
    pub(crate) queue: Vec<(&'static Command, Vec<Vec<u8>>)>,
    pub(crate) failed: bool,
}

/// What becomes of the connection after a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    GoOn,
    Close,
}

impl Session {
    pub(crate) fn new(id: u64, node: usize, peer: SocketAddr, user: Option<&str>) -> Self {
        Self {
            id,
            node,
            peer,
            identity: user.map(|user| Identity { user: user.to_owned(), ends: None }),
            protocol: Protocol::default(),
            database: 0,
            name: None,
            transaction: None,
            watched: Vec::new(),
            reads_from_replica: false,
            requests: 0,
        }
    }

    /// What a request may ask for before it is known whose it is.
    pub(crate) fn limits(&self, shared: &Shared) -> Limits {
        match &self.identity {
            _ if !shared.engine.limits_the_unauthenticated() => Limits::Old,
            None => Limits::Unauthenticated,
            Some(_) => Limits::Authenticated,
        }
    }

    /// Whether twelve hours have passed since the last IAM token.
    pub(crate) fn is_over(&self, now: SystemTime) -> bool {
        self.identity.as_ref().is_some_and(|identity| identity.ends.is_some_and(|ends| ends <= now))
    }

    pub(crate) fn authenticated(&mut self, user: String, proof: &Proof, now: SystemTime) {
        let ends = matches!(proof, Proof::Iam { .. }).then(|| now + TIME_LIMIT);
        self.identity = Some(Identity { user, ends });
    }

    /// Answers one request, which has at least one word.
    pub(crate) fn answer(&mut self, shared: &Shared, state: &mut State, words: Vec<Vec<u8>>) -> (Reply, After) {
        self.requests += 1;
        state.counters.commands += 1;
        shared.record(state, self.id, self.node, Event::Command { words: without_secrets(&words) });
        let command = match self.find(shared, state.topology.cluster, &words) {
            Ok(command) => command,
            Err(_)
                if self.identity.is_none()
                    && !shared.engine.tells_everybody_its_commands()
                    && !needs_no_auth(&words) =>
            {
                return (self.reject(shared, "", NOAUTH.to_owned()), After::GoOn);
            }
            Err(error) => {
                let exec = words.first().is_some_and(|name| name.eq_ignore_ascii_case(b"exec"));
                return (self.reject(shared, if exec { "exec" } else { "" }, error), After::GoOn);
            }
        };
        if command.name == "quit" {
            return (Reply::OK, After::Close);
        }
        if let Err(error) = self.check(shared, state, command, &words) {
            return (self.reject(shared, command.name, error), After::GoOn);
        }
        if let Some(transaction) = &mut self.transaction
            && !command.is_never_queued()
        {
            transaction.queue.push((command, words));
            return (Reply::Simple("QUEUED"), After::GoOn);
        }
        (self.execute(shared, state, command, &words), After::GoOn)
    }

    fn find(&self, shared: &Shared, cluster: ClusterMode, words: &[Vec<u8>]) -> Result<&'static Command, String> {
        let engine = shared.engine;
        let word = |index: usize| String::from_utf8_lossy(words.get(index).map_or(&[], Vec::as_slice)).into_owned();
        let name = word(0);
        let container = Command::is_container(&name);
        let full_name = if container { format!("{name}|{}", word(1)) } else { name.clone() };
        // Redis 5 has no ACL.
        let unknown_container = name.eq_ignore_ascii_case("acl") && !engine.has_users();
        let command = Command::find(&full_name).filter(|command| engine.has(command));
        if container && !unknown_container {
            if name.eq_ignore_ascii_case("cluster")
                && cluster == ClusterMode::Off
                && !engine.has_subcommands()
                && words.len() > 1
                && self.identity.is_some()
            {
                return Err(NO_CLUSTER.to_owned());
            }
            if words.len() < 2 {
                return Err(wrong_number(&name.to_ascii_lowercase()));
            }
            if !engine.has_subcommands() && self.identity.is_none() {
                return Err(NOAUTH.to_owned());
            }
            let fits = |command: &&Command| engine.has_subcommands() || engine.takes(command, words.len());
            return match command.filter(fits) {
                Some(command) if engine.takes(command, words.len()) => Ok(command),
                Some(command) => Err(wrong_number(command.name)),
                None => Err(engine.unknown_subcommand(&name, &word(1))),
            };
        }
        match command {
            Some(command) if engine.takes(command, words.len()) => Ok(command),
            Some(command) => Err(wrong_number(command.name)),
            None => Err(engine.unknown_command(words)),
        }
    }

    fn check(&self, shared: &Shared, state: &State, command: &Command, words: &[Vec<u8>]) -> Result<(), String> {
        let engine = shared.engine;
        if !command.needs_no_auth() {
            let identity = self.identity.as_ref().ok_or(NOAUTH)?;
            if let Some(user) = state.accounts.user(&identity.user)
                && let Some(denied) = user.denied(shared.engine, command, words)
            {
                return Err(engine.no_permission(&identity.user, &denied));
            }
        }
        if self.transaction.is_some() && shared.engine.keeps_out_of_transactions(command) {
            return Err(format!("ERR Command '{}' not allowed inside a transaction", command.name));
        }
        let on_keys = command.keys != Keys::None && command.name != "watch";
        self.check_place(state, command, words)?;
        let connection = state.connections.get(&self.id);
        let subscribed = connection.is_some_and(|own| !(own.channels.is_empty() && own.patterns.is_empty()));
        if subscribed && self.protocol == Protocol::Resp2 && !command.is_for_subscribers() {
            return Err(engine.not_for_subscribers(command));
        }
        match state.misbehaviour {
            Some(Misbehaviour::ClusterDown) if on_keys => Err("CLUSTERDOWN The cluster is down".to_owned()),
            Some(Misbehaviour::MasterDown) if on_keys => {
                Err("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.".to_owned())
            }
            Some(Misbehaviour::Loading) if !command.works_while_loading() => {
                Err("LOADING Redis is loading the dataset in memory".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Whether this is the node for these keys, and for writing.
    fn check_place(&self, state: &State, command: &Command, words: &[Vec<u8>]) -> Result<(), String> {
        let (topology, write) = (&state.topology, command.is_in("write"));
        let replica = topology.role(self.node) == Role::Replica;
        if topology.cluster == ClusterMode::On {
            let mut slots = command.keys_of(words).iter().map(|key| slot_of(key));
            let Some(slot) = slots.next() else { return Ok(()) };
            if slots.any(|other| other != slot) {
                return Err("CROSSSLOT Keys in request don't hash to the same slot".to_owned());
            }
            let here = topology.shard_of(slot) == topology.shard(self.node);
            if !here || (replica && (write || !self.reads_from_replica)) {
                return topology.moved(slot).map_or_else(|| Err("CLUSTERDOWN Hash slot not served".to_owned()), Err);
            }
        } else if replica && write {
            return Err("READONLY You can't write against a read only replica.".to_owned());
        }
        Ok(())
    }

    /// An error before the command is run is the end of a transaction.
    fn reject(&mut self, shared: &Shared, command: &str, error: String) -> Reply {
        if command == "exec" && shared.engine.has_users() {
            self.transaction = None;
            let error = error.strip_prefix("ERR ").unwrap_or(&error);
            return Reply::Error(format!("EXECABORT Transaction discarded because of: {error}"));
        }
        if let Some(transaction) = &mut self.transaction {
            transaction.failed = true;
        }
        Reply::Error(error)
    }
}

/// Whether the request is for a command that needs no authentication.
fn needs_no_auth(words: &[Vec<u8>]) -> bool {
    let name = words.first().map(|name| String::from_utf8_lossy(name));
    name.and_then(|name| Command::find(&name)).is_some_and(Command::needs_no_auth)
}

fn wrong_number(command: &str) -> String {
    format!("ERR wrong number of arguments for '{command}' command")
}

/// The words of a request as they may be written down.
pub(crate) fn without_secrets(words: &[Vec<u8>]) -> Vec<String> {
    let mut shown: Vec<_> = words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let secret = |text: &mut String| REDACTED.clone_into(text);
    match shown.as_mut_slice() {
        [name, _user, secrets @ ..] if name.eq_ignore_ascii_case("auth") && !secrets.is_empty() => {
            secrets.iter_mut().for_each(secret);
        }
        [name, secrets @ ..] if name.eq_ignore_ascii_case("auth") => secrets.iter_mut().for_each(secret),
        [name, words @ ..] if name.eq_ignore_ascii_case("hello") => {
            if let Some(auth) = words.iter().position(|word| word.eq_ignore_ascii_case("auth")) {
                words.iter_mut().skip(auth + 2).take(1).for_each(secret);
            }
        }
        _ => {}
    }
    shown
}

/// "An IAM authenticated connection … will automatically be disconnected after 12 hours" (ElastiCache User Guide,
/// "Authenticating with IAM").
const TIME_LIMIT: Duration = Duration::from_secs(12 * 60 * 60);
const NOAUTH: &str = "NOAUTH Authentication required.";
pub(crate) const NO_CLUSTER: &str = "ERR This instance has cluster support disabled";
const REDACTED: &str = "(redacted)";
