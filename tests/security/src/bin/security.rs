//! Runs every case, the dozen (`quick`), or those whose names contain the argument, and lists what was not contained.

use std::process::ExitCode;

use security::{cases, field, files};

#[tokio::main]
#[allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a report is its output"
)]
async fn main() -> anyhow::Result<ExitCode> {
    let wanted = std::env::args().nth(1);
    let is_quick = wanted.as_deref() == Some("quick");
    let is_wanted = |name: &str| wanted.as_deref().is_none_or(|part| name.contains(part));
    let cases: Vec<_> = cases::all()
        .into_iter()
        .filter(|case| is_wanted(case.name) || (is_quick && case.is_quick))
        .collect();
    let show = |group: &[cases::Case], complaints: &[String]| {
        let names: Vec<&str> = group.iter().map(|case| case.name).collect();
        println!(
            "{} {}",
            if complaints.is_empty() {
                "ok  "
            } else {
                "FAIL"
            },
            names.join("; ")
        );
        complaints
            .iter()
            .for_each(|complaint| println!("    {complaint}"));
    };
    let mut found = field::run_all(&cases, show).await?;
    let mut total = cases.len();
    if is_wanted("files") {
        let complaints = files::run().await?;
        total += files::COUNT;
        if !complaints.is_empty() {
            found.insert("files".to_owned(), complaints);
        }
    }
    println!("{total} cases, {} not contained", found.len());
    for (name, complaints) in &found {
        println!("  {name}");
        for complaint in complaints {
            println!("    {complaint}");
        }
    }
    Ok(if found.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
