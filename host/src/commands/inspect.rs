//! `mastra-host inspect X.wasm`

use super::{Context, Exit};
use crate::cli::{InspectArgs, Output};
use crate::config::select::tidy;
use crate::print;

/// Runs the command. A component that does not load is a failure that says why.
pub fn run(args: &InspectArgs, ctx: &mut Context<'_>) -> Exit {
    let output = args.output.format;
    let file = tidy(&args.component);
    let shown = file.display().to_string();
    match ctx.components.load(&[file]).pop() {
        Some(Ok(component)) => {
            let text = match output {
                Output::Human => print::inspect::human(&component, ctx.look),
                Output::Json => print::inspect::json(&component),
            };
            ctx.print(&text);
            Exit::Fine
        }
        Some(Err(reason)) => ctx.fail(output, Exit::Failed, &format!("{shown}: {reason}")),
        None => ctx.fail(output, Exit::Failed, &format!("{shown}: was not loaded")),
    }
}
