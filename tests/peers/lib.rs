//! What the peer tests share: where `install.sh` put a program, projects of authors, and a guard that runs one of them as a server.
//!
//! Called by the tests beside it; nothing here knows what a program is or speaks.

pub mod authored;
pub mod installed;
pub mod server;
