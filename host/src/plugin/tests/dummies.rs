//! Components of any outside, with bodies that trap: what is read of them must be read without running them.

use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve, SourceMap};

const WIT: [(&str, &str); 4] = [
    ("types.wit", include_str!("../../../../wit/types.wit")),
    ("exporter.wit", include_str!("../../../../wit/exporter.wit")),
    ("host.wit", include_str!("../../../../wit/host.wit")),
    ("worlds.wit", include_str!("../../../../wit/worlds.wit")),
];

/// A component with the outside of a world of these items, after `edit` has changed the contract's text.
pub(super) fn component(items: &str, edit: impl Fn(String) -> String) -> Vec<u8> {
    let texts = WIT.map(|(path, text)| (path.to_owned(), edit(text.to_owned())));
    // A nested package, for imports from elsewhere.
    let foreign = "package acme:weather@1.0.0 { interface rain { is-raining: func() -> bool; } }\n\
                   package wasi:http@0.2.0 { interface outgoing-handler { handle: func(); } }\n\
                   package wasi:http@0.3.0 { interface handler { handle: func(); } }\n\
                   package wasi:clocks@0.3.0 { interface system-clock { now: func() -> u64; } }";
    let world = format!("{foreign}\nworld under-test {{ {items} }}");
    let world = ("under-test.wit".to_owned(), world);
    of_contract(texts.into_iter().chain([world]), "under-test")
}

/// A component with the outside of a world of the contract that these files, by name, are.
pub(super) fn of_contract(
    files: impl IntoIterator<Item = (String, String)>,
    world: &str,
) -> Vec<u8> {
    let mut sources = SourceMap::default();
    for (path, text) in files {
        sources.push_str(&path, text);
    }
    let mut resolve = Resolve::default();
    let group = sources.parse().map_err(|(_, error)| error).unwrap();
    let package = resolve.push_group(group).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Standard32);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    ComponentEncoder::default()
        .module(&module)
        .unwrap()
        .validate(true)
        .encode()
        .unwrap()
}

/// [`component`] of the contract as it is.
pub(super) fn plain(items: &str) -> Vec<u8> {
    component(items, |text| text)
}
