//! What graphs ask and answer, held to what a manifest says of them.

use ort::value::{Outlet, TensorElementType, ValueType};

/// A length that a graph leaves open: it is another one in each run.
pub const OPEN: i64 = -1;
/// A length of which the manifest knows nothing.
pub const ANY: i64 = -2;

/// Looks for an input or output of this type and shape.
///
/// # Errors
/// What there is instead.
pub fn expect(outlets: &[Outlet], what: &str, name: &str, ty: TensorElementType, shape: &[i64]) -> Result<(), String> {
    let outlet = find(outlets, what, name)?;
    match tensor(outlet) {
        Ok((of, found)) if of == ty && fits(found, shape) => Ok(()),
        _ => {
            let wanted = format!("{name} {ty} {}", dimensions(shape));
            Err(format!("has the {what} {}, expected {wanted}", describe(outlet)))
        }
    }
}

/// # Errors
/// What there is instead.
pub fn find<'a>(outlets: &'a [Outlet], what: &str, name: &str) -> Result<&'a Outlet, String> {
    let all = || outlets.iter().map(describe).collect::<Vec<_>>().join(", ");
    let missing = || format!("has no {what} {name}; it has {}", all());
    outlets.iter().find(|outlet| outlet.name() == name).ok_or_else(missing)
}

/// The type and shape of a tensor.
///
/// # Errors
/// When it is none.
pub fn tensor(outlet: &Outlet) -> Result<(TensorElementType, &[i64]), String> {
    match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => Ok((*ty, shape)),
        _ => Err(format!("has {}, expected a tensor", describe(outlet))),
    }
}

/// Whether a shape is as wanted; a length that a graph leaves open is.
pub fn fits(found: &[i64], wanted: &[i64]) -> bool {
    let fits = |(&found, &wanted): (&i64, &i64)| found < 0 || wanted == ANY || found == wanted;
    found.len() == wanted.len() && found.iter().zip(wanted).all(fits)
}

/// Such as `features f32 [1, 64, ?]`.
pub fn describe(outlet: &Outlet) -> String {
    match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => format!("{} {ty} {}", outlet.name(), dimensions(shape)),
        other => format!("{} {other}", outlet.name()),
    }
}

/// Such as `[1, 64, ?]`.
pub fn dimensions(shape: &[i64]) -> String {
    let of = |&length: &i64| if length < 0 { "?".to_owned() } else { length.to_string() };
    format!("[{}]", shape.iter().map(of).collect::<Vec<_>>().join(", "))
}
