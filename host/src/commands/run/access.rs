//! Who may use the listeners: tokens of the command line and the environment, and what is said, or refused, about
//! listeners that others than this machine reach.

use std::fs::File;
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::path::Path;

use crate::cli::RunArgs;
use crate::commands::Exit;
use crate::config::{AcceptedToken, Config, Endpoint, Environment, Receivers, Secret, Tls};

/// Room for thousands of tokens.
const MAX_TOKEN_FILE_BYTES: u64 = 1 << 20;

/// Holds what `--token-file` holds.
const TOKEN_VARIABLE: &str = "MASTRA_HOST_TOKEN";

/// Adds the tokens and the certificate of the command line and the environment to those of the config.
///
/// # Errors
/// Tokens that cannot be read or used; the message has none of them.
pub(super) fn override_access(
    args: &RunArgs,
    environment: &Environment,
    config: &mut Config,
) -> Result<(), String> {
    let http = &mut config.receivers.http;
    let accepted = &mut http.access.tokens;
    if let Some(text) = environment.get(TOKEN_VARIABLE) {
        accept(text, TOKEN_VARIABLE, "env", accepted)?;
    }
    if let Some(file) = &args.listeners.token_file {
        let name = format!("--token-file {}", file.display());
        let text = token_text(file).map_err(|error| format!("cannot read {name}: {error}"))?;
        accept(&text, &name, "file", accepted)?;
    }
    let files = (&args.listeners.tls_cert, &args.listeners.tls_key);
    if let (Some(cert_file), Some(key_file)) = files {
        let tls = Tls {
            cert_file: cert_file.clone(),
            key_file: key_file.clone(),
            client_ca_file: None,
        };
        http.tls = Some(tls.clone());
        config.receivers.grpc.tls = Some(tls);
    }
    Ok(())
}

/// The file is read again when files change: one that waits for a writer must not hold that up.
fn token_text(file: &Path) -> io::Result<String> {
    let opened = File::open(file)?;
    if !opened.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut text = String::new();
    opened
        .take(MAX_TOKEN_FILE_BYTES)
        .read_to_string(&mut text)?;
    Ok(text)
}

/// Reads tokens, one a line. What was to close the listeners must not leave them open, so that none at all is an error.
fn accept(
    text: &str,
    place: &str,
    label: &str,
    accepted: &mut Vec<AcceptedToken>,
) -> Result<(), String> {
    let mut is_empty = true;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        is_empty = false;
        let wrong =
            |message: &str, fix: &str| Err(format!("line {number} of {place}: {message}; {fix}"));
        let parts: Vec<&str> = line.split_whitespace().collect();
        let (label, token, projects) = match *parts.as_slice() {
            [token] => (label, token, ""),
            [label, token] => (label, token, ""),
            [label, token, projects] => (label, token, projects),
            _ => {
                let fix = "write TOKEN, or LABEL TOKEN, or LABEL TOKEN PROJECT,PROJECT";
                return wrong("more than three words", fix);
            }
        };
        let projects = projects.split(',').filter(|project| !project.is_empty());
        let token = AcceptedToken {
            label: label.to_owned(),
            token: Secret::new(token),
            projects: projects.map(str::to_owned).collect(),
        };
        if let Some((_, message, fix)) = token.trouble(accepted) {
            return wrong(&message, fix);
        }
        accepted.push(token);
    }
    if is_empty {
        return Err(format!("{place} has no token; write one, or do without it"));
    }
    Ok(())
}

/// Refuses to listen beyond this machine where nobody needs a token, and says what others can see.
///
/// # Errors
/// What to write instead.
pub(super) async fn check_exposure(
    args: &RunArgs,
    receivers: &Receivers,
    http: Option<&Endpoint>,
    grpc: Option<&Endpoint>,
) -> Result<(), (Exit, String)> {
    let http = http.map(|endpoint| (endpoint, &receivers.http.tls));
    let grpc = grpc.map(|endpoint| (endpoint, &receivers.grpc.tls));
    for (endpoint, tls) in http.into_iter().chain(grpc) {
        if !is_beyond_this_machine(endpoint).await {
            continue;
        }
        let has_client_ca = tls.as_ref().is_some_and(|tls| tls.client_ca_file.is_some());
        let is_open = receivers.http.access.tokens.is_empty() && !has_client_ca;
        if is_open && !args.listeners.insecure {
            let message = format!(
                "{endpoint} can be reached from beyond this machine, and no token is configured: everybody could send \
                 events and read pages. Set a token with {TOKEN_VARIABLE}=..., --token-file FILE or \
                 receivers.http.auth.tokens, listen on 127.0.0.1, or add --insecure to listen without a token"
            );
            return Err((Exit::BadUsage, message));
        }
        if is_open {
            tracing::warn!(%endpoint, "Everybody who reaches this listener may send events and read pages: no token is configured.");
        }
        if tls.is_none() {
            tracing::warn!(%endpoint, "Events and tokens cross the network in clear: configure receivers.http.tls, or put a proxy with TLS in front.");
        }
    }
    Ok(())
}

/// A name that cannot be resolved is for those to report who listen there.
async fn is_beyond_this_machine(endpoint: &Endpoint) -> bool {
    let is_beyond = |address: IpAddr| !address.to_canonical().is_loopback();
    if let Ok(address) = endpoint.host.parse() {
        return is_beyond(address);
    }
    let found = tokio::net::lookup_host((endpoint.host.as_str(), endpoint.port)).await;
    found.is_ok_and(|mut all| all.any(|address| is_beyond(address.ip())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(text: &str) -> Result<Vec<(String, String, Vec<String>)>, String> {
        let mut tokens = Vec::new();
        accept(text, "--token-file t", "file", &mut tokens)?;
        let shown = |token: AcceptedToken| {
            let text = token.token.expose().to_owned();
            (token.label, text, token.projects)
        };
        Ok(tokens.into_iter().map(shown).collect())
    }

    #[test]
    fn a_line_is_a_token_with_a_label_and_projects_if_they_are_written() {
        let token = |label: &str, token: &str, projects: &[&str]| {
            let projects = projects.iter().map(|it| (*it).to_owned()).collect();
            (label.to_owned(), token.to_owned(), projects)
        };
        assert_eq!(accepted("s3cret\n"), Ok(vec![token("file", "s3cret", &[])]));
        assert_eq!(
            accepted("# teams\n\nteam-a  s3cret\nteam-b\tother p1,p2\n"),
            Ok(vec![
                token("team-a", "s3cret", &[]),
                token("team-b", "other", &["p1", "p2"])
            ])
        );
    }

    #[test]
    fn tokens_that_cannot_be_used_are_refused_without_being_shown() {
        for (text, problem) in [
            ("", "has no token"),
            ("# nothing\n\n", "has no token"),
            (
                "a s3cret\na other\n",
                "line 2 of --token-file t: label used twice",
            ),
            ("s3cret\nother\n", "label used twice"),
            ("a s3cret\nb s3cret\n", "the same token as `a`"),
            ("a s3cret p1 p2\n", "more than three words"),
            ("a s3cret p/1\n", "`p/1` is not a project id"),
            ("a s3crét\n", "letters beyond ASCII"),
        ] {
            let error = accepted(text).unwrap_err();
            assert!(error.contains(problem), "{text}: {error}");
            assert!(!error.contains("s3cr"), "{error}");
        }
    }

    #[tokio::test]
    async fn only_loopback_is_this_machine_alone() {
        for (endpoint, is_beyond) in [
            ("127.0.0.1:0", false),
            ("127.9.9.9:0", false),
            ("[::1]:0", false),
            ("[::ffff:127.0.0.1]:0", false),
            ("localhost:0", false),
            ("0.0.0.0:0", true),
            ("[::]:0", true),
            ("192.0.2.1:0", true),
        ] {
            let parsed = endpoint.parse().unwrap();
            assert_eq!(
                is_beyond_this_machine(&parsed).await,
                is_beyond,
                "{endpoint}"
            );
        }
    }
}
