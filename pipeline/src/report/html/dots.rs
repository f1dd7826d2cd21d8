//! The map: each clip a dot, its class a colour and a shape, mistakes ringed.
//!
//! Classes and sides are picked by check boxes and rules of the style sheet, without a script.

use maud::{Markup, html};

use super::super::words;
use super::super::{EmbeddingMap, MapPoint, ReportData, Side};
use super::name;

/// Width of the picture; its height follows the points.
const WIDTH: f64 = 1000.0;
/// Around the points.
const MARGIN: f64 = 16.0;
/// Hues of the style sheet; further classes have the same ones in other shapes.
const HUES: usize = 10;
/// Outlines around a point: circle, diamond, square, triangle, cross.
const SHAPES: [&str; 5] = [
    "m-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0",
    "m0-7l6 7l-6 7l-6-7z",
    "m-5-5h10v10h-10z",
    "m0-6l6 11h-12z",
    "m-2-6h4v4h4v4h-4v4h-4v-4h-4v-4h4z",
];

/// Rules that hide what is not picked.
pub(super) fn rules(data: &ReportData) -> String {
    if data.map.is_none() {
        return String::new();
    }
    let class = |k| format!(".map:has(#pick-{k}:not(:checked)) .k{k}{{display:none}}");
    (0..data.classes.len()).map(class).collect()
}

pub(super) fn section(data: &ReportData) -> Option<Markup> {
    let map = data.map.as_ref().filter(|map| !map.points.is_empty())?;
    let errors = map.points.iter().filter(|point| point.is_error).count();
    let shown = map.points.len() as u64;
    let [x, y] = map.explained.map(words::percent);
    Some(html! {
        figure.map {
            div.picks {
                fieldset {
                    legend { "Sides" }
                    div {
                        @for side in [Side::Train, Side::Val, Side::Test].map(words::side) {
                            label { input id={ "pick-" (side) } type="checkbox" checked; (side) }
                        }
                        label { input #pick-errors type="checkbox"; "mistakes only" }
                    }
                }
                fieldset {
                    legend { "Classes" }
                    div {
                        @for (k, class) in data.classes.iter().enumerate() {
                            label { input id={ "pick-" (k) } type="checkbox" checked; (swatch(k)) (name(class)) }
                        }
                    }
                }
            }
            (picture(data, map, errors))
            figcaption {
                "The standardised embeddings of " (words::count(shown)) @if shown < map.clips { " of " (words::count(map.clips)) } " clips, "
                "along the two directions in which they differ most (principal components, " (x) " and " (y) " of the variance; no class was "
                "used). What overlaps here may lie apart in the other directions. Ringed: taken for another class ("
                (words::count(errors as u64)) "). Train clips are pale."
            }
        }
    })
}

fn swatch(class: usize) -> Markup {
    html! { svg.swatch viewBox="-8 -8 16 16" aria-hidden="true" { path class={ "h" (class % HUES) } d={ "M0 0" (shape(class)) } {} } }
}

fn shape(class: usize) -> &'static str {
    SHAPES[class / HUES % SHAPES.len()]
}

fn picture(data: &ReportData, map: &EmbeddingMap, errors: usize) -> Markup {
    let frame = Frame::around(&map.points);
    let about = format!("{} clips as points in a plane, {errors} of them taken for another class", map.points.len());
    // Later layers lie above: held-out clips above fitted ones, mistakes above all.
    let layers = [
        (Side::Train, false),
        (Side::Val, false),
        (Side::Test, false),
        (Side::Train, true),
        (Side::Val, true),
        (Side::Test, true),
    ];
    html! {
        svg.dots viewBox={ "0 0 " (WIDTH) " " (format!("{:.0}", frame.height)) } role="img" aria-label=(about) {
            @for (side, is_error) in layers {
                g class={ (words::side(side)) @if is_error { " error" } } {
                    @for point in map.points.iter().filter(|point| point.side == side && point.is_error == is_error) {
                        @if let Some((x, y)) = frame.place(point) {
                            path class={ "k" (point.class) " h" (point.class % HUES) } d={ "M" (x) " " (y) (shape(point.class)) } {
                                title { (data.classes[point.class]) ", " (words::side(side)) @if is_error { ", mistaken" } ": " (point.uri) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// From the points' plane to the picture; both axes have one scale.
struct Frame {
    left: f64,
    top: f64,
    scale: f64,
    height: f64,
}

impl Frame {
    fn around(points: &[MapPoint]) -> Self {
        let range = |get: fn(&MapPoint) -> f32| {
            let finite = points.iter().map(|point| f64::from(get(point))).filter(|x| x.is_finite());
            finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)))
        };
        let ((left, right), (bottom, top)) = (range(|point| point.x), range(|point| point.y));
        let width = if right > left { right - left } else { 1.0 };
        let scale = (WIDTH - 2.0 * MARGIN) / width.max((top - bottom) / 0.75);
        let height = if top > bottom { (top - bottom) * scale } else { 0.0 };
        Self { left, top, scale, height: height + 2.0 * MARGIN }
    }

    /// Where a point is drawn, in tenths of a unit; none for a point that is nowhere.
    fn place(&self, point: &MapPoint) -> Option<(String, String)> {
        let (x, y) = (f64::from(point.x), f64::from(point.y));
        let place = (MARGIN + (x - self.left) * self.scale, MARGIN + (self.top - y) * self.scale);
        (x.is_finite() && y.is_finite()).then(|| (format!("{:.1}", place.0), format!("{:.1}", place.1)))
    }
}
