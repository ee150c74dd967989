//! An `AUTH` slipped in between a client's commands: when it comes, and that nobody else notices.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

mod any_conversation;
mod attempts;
mod places;
mod server;
mod support;
