//! Types of the contract and of a component in one form, and where the two differ, for people.
//!
//! Wasmtime decides whether types fit; this file only explains. The expected side is read from the WIT text that the
//! host was built with, and only when there is something to explain.

use std::cell::Cell;
use std::fmt;

use wasmtime::component::types::{self, ComponentItem};
use wit_parser::{Resolve, TypeDefKind, UnresolvedPackageGroup};

use super::limits::short;

/// The contract, as the host was built with it.
const CONTRACT: [(&str, &str); 4] = [
    ("types.wit", include_str!("../../../wit/types.wit")),
    ("exporter.wit", include_str!("../../../wit/exporter.wit")),
    ("host.wit", include_str!("../../../wit/host.wit")),
    ("worlds.wit", include_str!("../../../wit/worlds.wit")),
];

/// As many as help to mend a component; one wrong record shows up in every list that holds it.
const MAX_DIFFERENCES: usize = 8;
/// Types of a component that are looked at for an explanation. The whole contract has some 2,000.
const MAX_FOUND: usize = 20_000;
/// Functions and types of one interface that are looked at; the largest of ours has 30.
const MAX_FUNCTIONS: usize = 256;
/// Types are shown to this depth; deeper ones are named by their kind.
const MAX_DEPTH: usize = 2;

/// A place where a component's interface is not the contract's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeDifference {
    /// The way there: `send(batch).spans[].start-time`.
    pub at: String,
    /// What the contract has there, as WIT.
    pub expected: String,
    /// What the component has there, as WIT.
    pub found: String,
}

impl fmt::Display for TypeDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The component's side may be of any size.
        let (at, found) = (short(&self.at), short(&self.found));
        write!(f, "{at}: expected `{}`, found `{found}`", self.expected)
    }
}

/// A WIT type without its names.
#[derive(Clone, Debug, PartialEq)]
enum Shape {
    Primitive(&'static str),
    List(Box<Shape>),
    Option(Box<Shape>),
    Result(Option<Box<Shape>>, Option<Box<Shape>>),
    Tuple(Vec<Shape>),
    Record(Vec<(String, Shape)>),
    Variant(Vec<(String, Option<Shape>)>),
    Enum(Vec<String>),
    Flags(Vec<String>),
    /// Nothing that the contract uses: handles, futures, streams, maps.
    Foreign(&'static str),
}

#[derive(Clone, Debug, PartialEq)]
struct Function {
    name: String,
    params: Vec<(String, Shape)>,
    result: Option<Shape>,
}

/// Where `found`, the component's interface, differs from the contract's interface `name`. Functions that only the
/// component has do not count.
pub(super) fn differences(
    name: &str,
    found: &types::ComponentInstance,
    engine: &wasmtime::Engine,
) -> Vec<TypeDifference> {
    let found = functions_of_component(found, engine);
    let mut differences = Vec::new();
    for expected in functions_of_contract(name) {
        match found.iter().find(|function| function.name == expected.name) {
            Some(function) => compare_functions(&expected, function, &mut differences),
            None => differences.push(TypeDifference {
                at: expected.name.clone(),
                expected: expected.to_string(),
                found: "nothing".to_owned(),
            }),
        }
    }
    differences.truncate(MAX_DIFFERENCES);
    differences
}

fn functions_of_component(
    instance: &types::ComponentInstance,
    engine: &wasmtime::Engine,
) -> Vec<Function> {
    let left = Cell::new(MAX_FOUND);
    let functions = instance
        .exports(engine)
        .take(MAX_FUNCTIONS)
        .filter_map(|(name, item)| match item.ty {
            ComponentItem::ComponentFunc(function) => Some(Function {
                name: name.to_owned(),
                params: function
                    .params()
                    .map(|(name, ty)| (name.to_owned(), found_shape(&ty, &left)))
                    .collect(),
                result: function.results().next().map(|ty| found_shape(&ty, &left)),
            }),
            _ => None,
        });
    functions.collect()
}

fn functions_of_contract(name: &str) -> Vec<Function> {
    let mut sources = wit_parser::SourceMap::default();
    for (path, text) in CONTRACT {
        sources.push_str(path, text);
    }
    let mut resolve = Resolve::default();
    // The same text made the bindings at build time, so that it does parse; an explanation is not worth a panic.
    let group: UnresolvedPackageGroup = match sources.parse() {
        Ok(group) => group,
        Err(_) => return Vec::new(),
    };
    let Ok(package) = resolve.push_group(group) else {
        return Vec::new();
    };
    let interface = resolve
        .packages
        .get(package)
        .and_then(|package| package.interfaces.get(name));
    let Some(interface) = interface.and_then(|id| resolve.interfaces.get(*id)) else {
        return Vec::new();
    };
    let functions = interface.functions.values().map(|function| Function {
        name: function.name.clone(),
        params: function
            .params
            .iter()
            .map(|p| (p.name.clone(), expected_shape(&resolve, &p.ty)))
            .collect(),
        result: function
            .result
            .as_ref()
            .map(|ty| expected_shape(&resolve, ty)),
    });
    functions.collect()
}

fn expected_shape(resolve: &Resolve, ty: &wit_parser::Type) -> Shape {
    use wit_parser::Type;
    Shape::Primitive(match ty {
        Type::Bool => "bool",
        Type::U8 => "u8",
        Type::U16 => "u16",
        Type::U32 => "u32",
        Type::U64 => "u64",
        Type::S8 => "s8",
        Type::S16 => "s16",
        Type::S32 => "s32",
        Type::S64 => "s64",
        Type::F32 => "f32",
        Type::F64 => "f64",
        Type::Char => "char",
        Type::String => "string",
        Type::Id(id) => {
            return resolve
                .types
                .get(*id)
                .map_or(Shape::Foreign("type"), |def| {
                    expected_defined(resolve, &def.kind)
                });
        }
        Type::ErrorContext => return Shape::Foreign("error-context"),
    })
}

fn expected_defined(resolve: &Resolve, kind: &TypeDefKind) -> Shape {
    let shape = |ty: &wit_parser::Type| expected_shape(resolve, ty);
    let boxed = |ty: &Option<wit_parser::Type>| ty.as_ref().map(|ty| Box::new(shape(ty)));
    match kind {
        TypeDefKind::Type(ty) => shape(ty),
        TypeDefKind::List(ty) => Shape::List(Box::new(shape(ty))),
        TypeDefKind::Option(ty) => Shape::Option(Box::new(shape(ty))),
        TypeDefKind::Result(result) => Shape::Result(boxed(&result.ok), boxed(&result.err)),
        TypeDefKind::Tuple(tuple) => Shape::Tuple(tuple.types.iter().map(shape).collect()),
        TypeDefKind::Record(record) => Shape::Record(
            record
                .fields
                .iter()
                .map(|field| (field.name.clone(), shape(&field.ty)))
                .collect(),
        ),
        TypeDefKind::Variant(variant) => Shape::Variant(
            variant
                .cases
                .iter()
                .map(|case| (case.name.clone(), case.ty.as_ref().map(shape)))
                .collect(),
        ),
        TypeDefKind::Enum(cases) => {
            Shape::Enum(cases.cases.iter().map(|case| case.name.clone()).collect())
        }
        TypeDefKind::Flags(flags) => {
            Shape::Flags(flags.flags.iter().map(|flag| flag.name.clone()).collect())
        }
        other => Shape::Foreign(other.as_str()),
    }
}

/// `left` is the number of types that are still shown: a component's types may be made to be large.
fn found_shape(ty: &types::Type, left: &Cell<usize>) -> Shape {
    use types::Type;
    let Some(rest) = left.get().checked_sub(1) else {
        return Shape::Foreign("more types");
    };
    left.set(rest);
    let boxed = |ty: Option<Type>| ty.map(|ty| Box::new(found_shape(&ty, left)));
    match ty {
        Type::Bool => Shape::Primitive("bool"),
        Type::U8 => Shape::Primitive("u8"),
        Type::U16 => Shape::Primitive("u16"),
        Type::U32 => Shape::Primitive("u32"),
        Type::U64 => Shape::Primitive("u64"),
        Type::S8 => Shape::Primitive("s8"),
        Type::S16 => Shape::Primitive("s16"),
        Type::S32 => Shape::Primitive("s32"),
        Type::S64 => Shape::Primitive("s64"),
        Type::Float32 => Shape::Primitive("f32"),
        Type::Float64 => Shape::Primitive("f64"),
        Type::Char => Shape::Primitive("char"),
        Type::String => Shape::Primitive("string"),
        Type::List(list) => Shape::List(Box::new(found_shape(&list.ty(), left))),
        Type::Option(option) => Shape::Option(Box::new(found_shape(&option.ty(), left))),
        Type::Result(result) => Shape::Result(boxed(result.ok()), boxed(result.err())),
        Type::Tuple(tuple) => {
            Shape::Tuple(tuple.types().map(|ty| found_shape(&ty, left)).collect())
        }
        Type::Record(record) => Shape::Record(
            record
                .fields()
                .map(|field| (field.name.to_owned(), found_shape(&field.ty, left)))
                .collect(),
        ),
        Type::Variant(variant) => {
            let cases = variant.cases().map(|case| {
                (
                    case.name.to_owned(),
                    case.ty.map(|ty| found_shape(&ty, left)),
                )
            });
            Shape::Variant(cases.collect())
        }
        Type::Enum(cases) => Shape::Enum(cases.names().map(str::to_owned).collect()),
        Type::Flags(flags) => Shape::Flags(flags.names().map(str::to_owned).collect()),
        Type::Own(_) | Type::Borrow(_) => Shape::Foreign("resource"),
        Type::Future(_) => Shape::Foreign("future"),
        Type::Stream(_) => Shape::Foreign("stream"),
        _ => Shape::Foreign("foreign type"),
    }
}

fn compare_functions(expected: &Function, found: &Function, out: &mut Vec<TypeDifference>) {
    let names = |function: &Function| {
        function
            .params
            .iter()
            .map(|(name, _)| name.clone())
            .collect::<Vec<_>>()
    };
    if names(expected) != names(found) || expected.result.is_some() != found.result.is_some() {
        let (expected, found) = (expected.to_string(), found.to_string());
        let at = found.split(':').next().unwrap_or_default().to_owned();
        out.push(TypeDifference {
            at,
            expected,
            found,
        });
        return;
    }
    for ((name, expected_type), (_, found_type)) in expected.params.iter().zip(&found.params) {
        compare(
            &format!("{}({name})", expected.name),
            expected_type,
            found_type,
            out,
        );
    }
    if let (Some(expected_type), Some(found_type)) = (&expected.result, &found.result) {
        compare(
            &format!("{}() result", expected.name),
            expected_type,
            found_type,
            out,
        );
    }
}

fn compare(at: &str, expected: &Shape, found: &Shape, out: &mut Vec<TypeDifference>) {
    if expected == found || out.len() >= MAX_DIFFERENCES {
        return;
    }
    match (expected, found) {
        (Shape::List(expected), Shape::List(found)) => {
            compare(&format!("{at}[]"), expected, found, out)
        }
        (Shape::Option(expected), Shape::Option(found)) => compare(at, expected, found, out),
        (Shape::Tuple(expected), Shape::Tuple(found)) if expected.len() == found.len() => {
            for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
                compare(&format!("{at}.{index}"), expected, found, out);
            }
        }
        (Shape::Record(expected_fields), Shape::Record(found_fields)) => {
            let expected_fields = expected_fields
                .iter()
                .map(|(name, shape)| (name.as_str(), Some(shape)));
            let found_fields = found_fields
                .iter()
                .map(|(name, shape)| (name.as_str(), Some(shape)));
            let mut parts = Parts {
                at,
                whole: (expected, found),
                out,
            };
            parts.compare(expected_fields.collect(), found_fields.collect());
        }
        (Shape::Variant(expected_cases), Shape::Variant(found_cases)) => {
            let expected_cases = expected_cases
                .iter()
                .map(|(name, shape)| (name.as_str(), shape.as_ref()));
            let found_cases = found_cases
                .iter()
                .map(|(name, shape)| (name.as_str(), shape.as_ref()));
            let mut parts = Parts {
                at,
                whole: (expected, found),
                out,
            };
            parts.compare(expected_cases.collect(), found_cases.collect());
        }
        _ => out.push(TypeDifference {
            at: at.to_owned(),
            expected: expected.to_string(),
            found: found.to_string(),
        }),
    }
}

/// The outer option: whether there is such a part; the inner one: whether it has a type.
fn part<'a>(parts: &[(&str, Option<&'a Shape>)], name: &str) -> Option<Option<&'a Shape>> {
    parts
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, shape)| *shape)
}

/// The named parts of a record or variant.
struct Parts<'a> {
    at: &'a str,
    whole: (&'a Shape, &'a Shape),
    out: &'a mut Vec<TypeDifference>,
}

impl Parts<'_> {
    fn compare(
        &mut self,
        expected: Vec<(&str, Option<&Shape>)>,
        found: Vec<(&str, Option<&Shape>)>,
    ) {
        let before = self.out.len();
        for (name, shape) in &expected {
            match (shape, part(&found, name)) {
                (_, None) => self.push(name, *shape, None),
                (Some(expected), Some(Some(found))) => {
                    compare(&format!("{}.{name}", self.at), expected, found, self.out)
                }
                (None, Some(None)) => {}
                (_, Some(found)) => self.push(name, *shape, Some(found)),
            }
        }
        for (name, shape) in &found {
            if part(&expected, name).is_none() {
                let found =
                    shape.map_or_else(|| "a case without a type".to_owned(), ToString::to_string);
                self.out.push(TypeDifference {
                    at: format!("{}.{name}", self.at),
                    expected: "nothing".to_owned(),
                    found,
                });
            }
        }
        if self.out.len() == before {
            // All parts are there and equal, in another order.
            let (expected, found) = (self.whole.0.to_string(), self.whole.1.to_string());
            self.out.push(TypeDifference {
                at: self.at.to_owned(),
                expected,
                found,
            });
        }
    }

    fn push(&mut self, name: &str, expected: Option<&Shape>, found: Option<Option<&Shape>>) {
        let text = |shape: Option<&Shape>| {
            shape.map_or_else(|| "a case without a type".to_owned(), ToString::to_string)
        };
        self.out.push(TypeDifference {
            at: format!("{}.{name}", self.at),
            expected: text(expected),
            found: found.map_or_else(|| "nothing".to_owned(), text),
        });
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: func(", self.name)?;
        for (index, (name, shape)) in self.params.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{name}: {}", shape.text(MAX_DEPTH))?;
        }
        f.write_str(")")?;
        self.result
            .as_ref()
            .map_or(Ok(()), |shape| write!(f, " -> {}", shape.text(MAX_DEPTH)))
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(MAX_DEPTH))
    }
}

impl Shape {
    fn text(&self, depth: usize) -> String {
        let text = |shape: &Self| shape.text(depth);
        let list = |texts: Vec<String>| texts.join(", ");
        match self {
            Self::Primitive(name) | Self::Foreign(name) => (*name).to_owned(),
            Self::List(of) => format!("list<{}>", text(of)),
            Self::Option(of) => format!("option<{}>", text(of)),
            Self::Tuple(of) => format!("tuple<{}>", list(of.iter().map(text).collect())),
            Self::Result(None, None) => "result".to_owned(),
            Self::Result(ok, err) => {
                let side = |shape: &Option<Box<Self>>| {
                    shape.as_ref().map_or_else(|| "_".to_owned(), |s| text(s))
                };
                format!("result<{}, {}>", side(ok), side(err))
            }
            Self::Enum(names) => format!("enum {{ {} }}", names.join(", ")),
            Self::Flags(names) => format!("flags {{ {} }}", names.join(", ")),
            Self::Record(_) if depth == 0 => "record { ... }".to_owned(),
            Self::Variant(_) if depth == 0 => "variant { ... }".to_owned(),
            Self::Record(fields) => {
                let fields = fields
                    .iter()
                    .map(|(name, shape)| format!("{name}: {}", shape.text(depth - 1)));
                format!("record {{ {} }}", list(fields.collect()))
            }
            Self::Variant(cases) => {
                let cases = cases.iter().map(|(name, shape)| match shape {
                    Some(shape) => format!("{name}({})", shape.text(depth - 1)),
                    None => name.clone(),
                });
                format!("variant {{ {} }}", list(cases.collect()))
            }
        }
    }
}
