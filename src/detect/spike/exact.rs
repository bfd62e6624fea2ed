//! Powers and logarithms from the four basic operations alone.
//!
//! IEEE 754 fixes the last bit of `+ - * /` and of the square root, not of `exp`, `ln` or `powi`. What
//! decides must be the same on every machine, so the few functions that are needed are made here. They
//! are used when a detector is built and when buckets close, not for each event.

/// Terms of the series below; the last one is smaller than the last bit of the sum.
const TERMS: u32 = 24;

/// `2^-x` for `x >= 0`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates, and 2^-huge is zero")]
pub(super) fn half_to(x: f64) -> f64 {
    let x = x.max(0.0);
    let whole = x.floor();
    let part = (x - whole) * std::f64::consts::LN_2;
    let (mut term, mut sum) = (1.0, 1.0);
    for n in 1..=TERMS {
        term *= -part / f64::from(n);
        sum += term;
    }
    sum * power(0.5, whole as u64)
}

/// `base^exponent` by repeated squaring.
pub(super) fn power(base: f64, exponent: u64) -> f64 {
    let (mut square, mut left, mut product) = (base, exponent, 1.0);
    while left > 0 {
        if left % 2 == 1 {
            product *= square;
        }
        square *= square;
        left /= 2;
    }
    product
}

/// Natural logarithm for `x >= 1`; of what is smaller, zero.
pub(super) fn ln(x: f64) -> f64 {
    if !x.is_finite() || x <= 1.0 {
        return 0.0;
    }
    let (mut rest, mut halvings) = (x, 0_u32);
    while rest > std::f64::consts::SQRT_2 {
        rest /= 2.0;
        halvings += 1;
    }
    // ln(rest) = 2 artanh(s), and |s| is at most 0.18.
    let s = (rest - 1.0) / (rest + 1.0);
    let (mut odd, mut sum) = (s, 0.0);
    for n in 0..TERMS {
        sum += odd / f64::from(2 * n + 1);
        odd *= s * s;
    }
    2.0 * sum + f64::from(halvings) * std::f64::consts::LN_2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(made: f64, known: f64) -> bool {
        (made - known).abs() <= 1e-14 * known.abs().max(1.0)
    }

    #[test]
    fn agrees_with_the_library() {
        for n in 0..2_000_u32 {
            let x = f64::from(n) / 137.0;
            assert!(close(half_to(x), (-x).exp2()), "2^-{x}");
            assert!(close(ln(1.0 + x * x * x), (1.0 + x * x * x).ln()), "ln {x}");
        }
        assert!(close(power(0.997_6, 415), 0.997_6_f64.powi(415)));
    }

    #[test]
    fn the_edges_are_quiet() {
        assert_eq!((half_to(-1.0), half_to(1e300), power(0.5, u64::MAX)), (1.0, 0.0, 0.0));
        assert_eq!((ln(0.0), ln(-3.0), ln(f64::NAN), ln(f64::INFINITY)), (0.0, 0.0, 0.0, 0.0));
    }
}
