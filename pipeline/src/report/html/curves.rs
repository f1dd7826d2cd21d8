//! Precision over recall, and probabilities against frequencies.

use maud::{Markup, html};

use super::super::words;
use super::super::{Calibration, PrCurve, Reliability, ReportData};
use super::plot::{Axis, Ink, Line, Stroke, plot};
use super::{name, scroll};

/// Plots that are shown; those of further classes are folded.
const SHOWN: usize = 12;
/// Points of a curve that a small plot can show.
const POINTS: usize = 200;
/// A little more than 0…1, so that a line on the border is seen.
const UNIT: std::ops::Range<f64> = -0.02..1.02;

/// One small plot for each class, those with the lowest average precision first.
pub(super) fn precision_recall(data: &ReportData) -> Option<Markup> {
    if data.pr_curves.is_empty() {
        return None;
    }
    let ap = |class: &usize| data.per_class.get(*class).and_then(|figures| figures.ap);
    let mut order: Vec<usize> = (0..data.classes.len()).collect();
    order.sort_by(|a, b| ap(a).unwrap_or(2.0).total_cmp(&ap(b).unwrap_or(2.0)));
    let (shown, folded) = order.split_at(order.len().min(SHOWN));
    Some(html! {
        p { "Precision (upwards) over recall on the test side, classes with the lowest average precision first. The dot is what the model answers." }
        div.small-plots { @for class in shown { (curve(data, *class)) } }
        @if !folded.is_empty() {
            details { summary { (folded.len()) " more classes" } div.small-plots { @for class in folded { (curve(data, *class)) } } }
        }
    })
}

fn curve(data: &ReportData, class: usize) -> Markup {
    let (title, figures) = (&data.classes[class], data.per_class.get(class));
    let ap = words::maybe(figures.and_then(|figures| figures.ap));
    let mut lines = vec![Line { ink: Ink::Main, points: thinned(&data.pr_curves[class]), stroke: Stroke::Solid }];
    if let Some((recall, precision)) = figures.and_then(|figures| figures.recall.zip(figures.precision)) {
        lines.push(Line { ink: Ink::Other, points: vec![(recall, precision)], stroke: Stroke::Dots });
    }
    let about = format!("Precision over recall of {title}: average precision {ap}");
    let axes = [Axis { label: "", range: UNIT }, Axis { label: "", range: UNIT }];
    html! {
        figure {
            figcaption { strong { (name(title)) } " AP " (ap) }
            (plot(&about, (220, 170), axes, &lines))
        }
    }
}

/// The curve with no more points than can be told apart; the ends stay.
fn thinned(curve: &PrCurve) -> Vec<(f64, f64)> {
    let step = curve.recall.len().div_ceil(POINTS).max(1);
    let last = curve.recall.len().saturating_sub(1);
    let points = curve.recall.iter().copied().zip(curve.precision.iter().copied()).enumerate();
    points.filter(|(at, _)| at.is_multiple_of(step) || *at == last).map(|(_, point)| point).collect()
}

/// The reliability diagram and its figures.
pub(super) fn calibration(data: &ReportData) -> Option<Markup> {
    let calibration = data.calibration.as_ref()?;
    let Calibration { method, before, after, ece_bins } = calibration;
    let points = |side: &Reliability| {
        side.bins.iter().filter(|bin| bin.clips > 0).map(|bin| (bin.confidence, bin.accuracy)).collect()
    };
    let lines = [
        Line { ink: Ink::Quiet, points: vec![(0.0, 0.0), (1.0, 1.0)], stroke: Stroke::Solid },
        Line { ink: Ink::Other, points: points(before), stroke: Stroke::Dashed },
        Line { ink: Ink::Main, points: points(after), stroke: Stroke::Dotted },
    ];
    let (ece_before, ece_after) = (words::decimal(before.ece), words::decimal(after.ece));
    let error = words::calibration_error(*ece_bins);
    let about = format!("Accuracy over confidence: {error} {ece_before} before, {ece_after} after calibration");
    let axes = [Axis { label: "confidence", range: UNIT }, Axis { label: "accuracy", range: UNIT }];
    Some(html! {
        p { "How often the model is right when it is this sure. On the diagonal, probabilities can be taken at their word. Calibrated by " (name(method)) "." }
        figure.side-by-side {
            (plot(&about, (420, 340), axes, &lines))
            figcaption {
                ul.key {
                    li { span.stroke.dashed.other {} "before: " (error) " " strong { (ece_before) } }
                    li { span.stroke.main {} "after: " (error) " " strong { (ece_after) } }
                }
                details { summary { "Figures of the bins" } (bins(calibration)) }
            }
        }
    })
}

fn bins(calibration: &Calibration) -> Markup {
    let table = html! {
        table.figures {
            caption { "Clips by confidence." }
            thead { tr { @for word in ["probabilities", "confidence", "accuracy", "clips"] { th scope="col" { (word) } } } }
            tbody {
                @for (when, side) in [("before", &calibration.before), ("after", &calibration.after)] {
                    @for bin in &side.bins {
                        tr {
                            th scope="row" { (when) }
                            td { (words::decimal(bin.confidence)) } td { (words::decimal(bin.accuracy)) } td { (words::count(bin.clips)) }
                        }
                    }
                }
            }
        }
    };
    scroll("Bins of the reliability diagram", &table)
}
