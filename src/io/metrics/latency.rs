//! A latency: an HDR histogram inside, classic Prometheus buckets and exact quantiles outside.
//!
//! Buckets answer questions over any range and over all replicas; the quantiles are exact for this
//! process since its start, which buckets can't be.

use std::sync::{Mutex, PoisonError};

use hdrhistogram::Histogram;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Gauge, Histogram as HistogramProto, LabelPair, Metric, MetricFamily, MetricType};

/// Upper edges of the buckets in seconds: 1, 2, 5 steps from a microsecond to a minute.
const EDGES: [f64; 24] = [
    1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0, 2.0,
    5.0, 10.0, 30.0, 60.0,
];
const QUANTILES: [(f64, &str); 3] = [(0.5, "0.5"), (0.99, "0.99"), (0.999, "0.999")];
/// Longest latency that is told apart, in nanoseconds: an hour.
const NANOS_MAX: u64 = 3_600_000_000_000;
const NANOS_PER_SECOND: f64 = 1e9;

/// A collector of one latency.
#[derive(Debug)]
pub struct Latency {
    inner: Mutex<Inner>,
    desc: Desc,
    quantile_desc: Option<Desc>,
}

#[derive(Debug)]
struct Inner {
    histogram: Histogram<u64>,
    sum_seconds: f64,
}

impl Latency {
    /// A latency exported as the histogram `name` and, if named, as quantile gauges.
    ///
    /// # Errors
    /// When a name is no metric name.
    pub fn new(name: &str, help: &str, quantile_name: Option<&str>) -> prometheus::Result<Self> {
        let histogram = Histogram::new_with_bounds(1, NANOS_MAX, 3)
            .map_err(|error| prometheus::Error::Msg(format!("latency bounds: {error}")))?;
        let desc = |name: &str, labels: Vec<String>| {
            Desc::new(name.to_owned(), help.to_owned(), labels, std::collections::HashMap::new())
        };
        Ok(Self {
            inner: Mutex::new(Inner { histogram, sum_seconds: 0.0 }),
            desc: desc(name, Vec::new())?,
            quantile_desc: quantile_name.map(|name| desc(name, vec!["quantile".to_owned()])).transpose()?,
        })
    }

    /// Records one value; negative ones (a clock behind the broker's) count as zero.
    pub fn record_seconds(&self, seconds: f64) {
        self.record_all(&[seconds]);
    }

    /// Records many values under one lock.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
    pub fn record_all(&self, seconds: &[f64]) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        for value in seconds {
            let value = value.max(0.0);
            inner.histogram.saturating_record((value * NANOS_PER_SECOND) as u64);
            inner.sum_seconds += value;
        }
    }

    /// The value at a quantile in seconds; 0 before the first record.
    #[must_use]
    pub fn quantile_seconds(&self, quantile: f64) -> f64 {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        seconds(inner.histogram.value_at_quantile(quantile))
    }

    fn buckets(inner: &Inner) -> Metric {
        let mut proto = HistogramProto::default();
        proto.set_sample_count(inner.histogram.len());
        proto.set_sample_sum(inner.sum_seconds);
        let mut cumulative = 0;
        let mut from = 0;
        let buckets = EDGES.iter().map(|edge| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "edges are small and positive")]
            let to = (edge * NANOS_PER_SECOND).round() as u64;
            cumulative += inner.histogram.count_between(from, to);
            from = inner.histogram.next_non_equivalent(to);
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*edge);
            bucket.set_cumulative_count(cumulative);
            bucket
        });
        proto.set_bucket(buckets.collect());
        let mut metric = Metric::default();
        metric.set_histogram(proto);
        metric
    }

    fn quantiles(inner: &Inner) -> Vec<Metric> {
        let one = |(quantile, name): &(f64, &str)| {
            let mut label = LabelPair::default();
            label.set_name("quantile".to_owned());
            label.set_value((*name).to_owned());
            let mut gauge = Gauge::default();
            gauge.set_value(seconds(inner.histogram.value_at_quantile(*quantile)));
            let mut metric = Metric::from_label(vec![label]);
            metric.set_gauge(gauge);
            metric
        };
        QUANTILES.iter().map(one).collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "three digits are kept")]
fn seconds(nanos: u64) -> f64 {
    nanos as f64 / NANOS_PER_SECOND
}

fn family(desc: &Desc, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(desc.fq_name.clone());
    family.set_help(desc.help.clone());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

impl Collector for Latency {
    fn desc(&self) -> Vec<&Desc> {
        std::iter::once(&self.desc).chain(&self.quantile_desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut families = vec![family(&self.desc, MetricType::HISTOGRAM, vec![Self::buckets(&inner)])];
        if let Some(desc) = &self.quantile_desc {
            families.push(family(desc, MetricType::GAUGE, Self::quantiles(&inner)));
        }
        families
    }
}

/// Shared by the registry and by whoever records.
#[derive(Clone, Debug)]
pub(super) struct Shared(pub(super) std::sync::Arc<Latency>);

impl Collector for Shared {
    fn desc(&self) -> Vec<&Desc> {
        self.0.desc()
    }
    fn collect(&self) -> Vec<MetricFamily> {
        self.0.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_and_quantiles_agree_with_what_was_recorded() {
        let latency = Latency::new("l_seconds", "help", Some("l_quantile_seconds")).expect("good names");
        latency.record_all(&[0.000_001_5, 0.003, 0.003, 0.4, -1.0]);
        let families = latency.collect();
        let histogram = families[0].get_metric()[0].get_histogram().clone();
        assert_eq!(histogram.get_sample_count(), 5);
        assert!((histogram.get_sample_sum() - 0.406_001_5).abs() < 1e-9);
        let at = |edge: f64| {
            let bucket = histogram.get_bucket().iter().find(|b| (b.upper_bound() - edge).abs() < 1e-12);
            bucket.expect("an edge").cumulative_count()
        };
        assert_eq!((at(1e-6), at(2e-6), at(2e-3), at(5e-3), at(0.2), at(0.5)), (1, 2, 2, 4, 4, 5));
        assert!((latency.quantile_seconds(0.5) - 0.003).abs() < 1e-5);
        assert_eq!(families[1].get_metric().len(), 3);
    }
}
