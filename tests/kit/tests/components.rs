//! The component builder: a guest of this repository becomes one file of the right name, however many ask for it.

use kit::components;

#[test]
fn a_guest_is_built_once_for_all_who_ask() {
    let paths: Vec<_> = std::thread::scope(|scope| {
        let ask =
            || components::package("rover-guest", "rover").map_err(|error| format!("{error:#}"));
        let askers: Vec<_> = (0..3).map(|_| scope.spawn(ask)).collect();
        askers
            .into_iter()
            .map(|asker| asker.join().unwrap().unwrap())
            .collect()
    });
    assert!(
        paths
            .iter()
            .all(|path| path == &paths[0] && path.ends_with("rover.wasm")),
        "{paths:?}"
    );
    let bytes = std::fs::read(&paths[0]).unwrap();
    assert_eq!(
        bytes[..8],
        *b"\0asm\x0d\0\x01\0",
        "a component, not a module"
    );
}

#[test]
fn a_package_that_is_not_there_is_told() {
    let error = components::package("no-such-package", "none").unwrap_err();
    assert!(error.to_string().contains("no-such-package"), "{error:#}");
}
