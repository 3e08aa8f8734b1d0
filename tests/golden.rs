//! The forward pass against golden values: an exact float32 path and the shipped 8-bit path.

use frontdesk_engine::cpu::Cpu;
use frontdesk_kernels::matrix::Precision;
use support::golden::Report;

fn run(model: &str, golden: &str, precision: Precision) -> Option<Report> {
    let backend = Cpu::new(precision);
    support::golden::run((model, golden), (&format!("{precision:?}"), backend))
}

fn assert_exact(report: &Report) {
    assert_eq!(report.agreements, report.steps, "top-1 agreement");
    assert!(report.largest_logit_error <= 1e-3, "logits differ by {}", report.largest_logit_error);
    assert!(report.largest_hidden_error <= 1e-3, "hidden: {}", report.largest_hidden_error);
}

fn assert_faithful(report: &Report) {
    assert!(report.top1() >= 0.975, "top-1 agreement {}", report.top1());
    assert!(report.mean_divergence() <= 0.003, "mean KL {}", report.mean_divergence());
}

#[test]
fn smollm2_float32_is_exact() {
    if let Some(report) = run("smollm2-135m-instruct", "smollm2.json", Precision::Float32) {
        assert_exact(&report);
    }
}

#[test]
fn gemma3_float32_is_exact() {
    if let Some(report) = run("gemma3-270m", "gemma3.json", Precision::Float32) {
        assert_exact(&report);
    }
}

#[test]
fn smollm2_int8_is_faithful() {
    if let Some(report) = run("smollm2-135m-instruct", "smollm2.json", Precision::Int8) {
        assert_faithful(&report);
    }
}

#[test]
fn gemma3_int8_is_faithful() {
    if let Some(report) = run("gemma3-270m", "gemma3.json", Precision::Int8) {
        assert_faithful(&report);
    }
}
