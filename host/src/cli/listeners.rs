//! What `run` is told about its listeners beside their addresses.

use std::path::PathBuf;

use clap::Args;

/// Who may use the listeners, and over what.
#[derive(Clone, Debug, Default, Args)]
pub struct ListenerArgs {
    /// File of the tokens that senders must show, one a line: TOKEN, or LABEL TOKEN, or LABEL TOKEN PROJECT,...
    ///
    /// The environment variable MASTRA_HOST_TOKEN takes the same text.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// Certificate of all listeners, with its chain (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// Private key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// Listen beyond this machine without a token: everybody who reaches it may send events and read pages
    #[arg(long)]
    pub insecure: bool,
}
