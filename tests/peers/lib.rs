//! What the peer tests share: where `install.sh` put a program, a guard that runs one of them as a server, projects of
//! authors, and what several of them are sent and asked. Called by the tests beside it.

pub mod authored;
pub mod installed;
pub mod measurements;
pub mod query;
pub mod server;
