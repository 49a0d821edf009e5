//! A dozen of the cases; `make security` runs all of them.

use security::cases::{self, Case};
use security::{field, files};

#[tokio::test]
async fn hostile_components_stay_their_own_trouble() -> anyhow::Result<()> {
    let quick: Vec<Case> = cases::all()
        .into_iter()
        .filter(|case| case.is_quick)
        .collect();
    assert!(quick.len() >= 12, "{}", quick.len());
    let found = field::run_all(&quick, |_, _| {}).await?;
    assert!(found.is_empty(), "{found:#?}");
    Ok(())
}

#[tokio::test]
async fn files_that_are_no_components_are_an_error_each_and_no_wait() -> anyhow::Result<()> {
    let found = files::run().await?;
    assert!(found.is_empty(), "{found:#?}");
    Ok(())
}

#[test]
fn there_are_cases_for_every_function_and_import_and_their_names_differ() {
    let cases = cases::all();
    let mut names: Vec<&str> = cases.iter().map(|case| case.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), cases.len());
    assert!(names.len() >= 100, "{}", names.len());
}
