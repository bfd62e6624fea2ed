//! Amounts as whole numbers, so that sums are exact and the order of adding does not matter.

const MILLION: f64 = 1e6;
const THOUSAND: f64 = 1e3;

/// An amount in millionths. Saturates; a negative amount counts as much as a positive one, or else it
/// would make room for more.
#[expect(clippy::cast_possible_truncation, reason = "`as` saturates, which is what an absurd amount should do")]
pub(super) fn millionths(amount: f64) -> i64 {
    (amount.abs() * MILLION).round() as i64
}

/// Millionths as a number for people.
#[expect(clippy::cast_precision_loss, reason = "for display")]
pub(super) fn from_millionths(amount: i64) -> f64 {
    amount as f64 / MILLION
}

/// Points of a score in thousandths.
#[expect(clippy::cast_possible_truncation, reason = "`as` saturates")]
pub(super) fn thousandths(points: f64) -> i64 {
    (points * THOUSAND).round() as i64
}

/// Thousandths of a point as a number for people.
#[expect(clippy::cast_precision_loss, reason = "for display")]
pub(super) fn from_thousandths(points: i64) -> f64 {
    points as f64 / THOUSAND
}
