//! `mastra-host inspect langfuse`, `mastra-host inspect ./acme.wasm`

use super::places::Shelf;
use super::{Context, Exit};
use crate::cli::{InspectArgs, Output};
use crate::print;

/// Runs the command. A component that does not load is a failure that says why.
pub fn run(args: &InspectArgs, ctx: &mut Context<'_>) -> Exit {
    let output = args.output.format;
    let shelf = match Shelf::of(&args.places, ctx) {
        Ok(shelf) => shelf,
        Err(reason) => return ctx.fail(output, Exit::Failed, &reason),
    };
    let source = match shelf.source(&args.component, ctx) {
        Ok(source) => source,
        Err(reason) => return ctx.fail(output, Exit::Failed, &reason),
    };
    match ctx.load_one(&source) {
        Ok(component) => {
            let text = match output {
                Output::Human => print::inspect::human(&component, ctx.look),
                Output::Json => print::inspect::json(&component),
            };
            ctx.print(&text);
            Exit::Fine
        }
        Err(reason) => ctx.fail(output, Exit::Failed, &format!("{source}: {reason}")),
    }
}
