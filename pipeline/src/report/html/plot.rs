//! Line plots by `plotters`, whose colours are variables of the style sheet.

use std::ops::Range;

use maud::{Markup, PreEscaped, html};
use plotters::coord::Shift;
use plotters::prelude::*;

/// Units of a plot's canvas in one of its CSS pixels: `plotters` draws to whole units.
const FINE: u32 = 4;

/// What colours stand for. `plotters` gets a colour that nothing else has, and the file the variable.
#[derive(Clone, Copy)]
pub(super) enum Ink {
    /// Axes and their words.
    Axis,
    /// The grid.
    Grid,
    /// What the eye should pass over.
    Quiet,
    /// The main line.
    Main,
    /// What it is compared with.
    Other,
}

impl Ink {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Axis, "var(--soft)"),
        (Self::Grid, "var(--line)"),
        (Self::Quiet, "var(--faint)"),
        (Self::Main, "var(--accent)"),
        (Self::Other, "var(--other)"),
    ];

    const fn color(self) -> RGBColor {
        RGBColor(1, 2, self as u8)
    }
}

/// An axis.
pub(super) struct Axis {
    /// What it measures.
    pub(super) label: &'static str,
    /// From where to where.
    pub(super) range: Range<f64>,
}

/// A line of a plot.
pub(super) struct Line {
    pub(super) ink: Ink,
    pub(super) points: Vec<(f64, f64)>,
    pub(super) stroke: Stroke,
}

/// How a line is drawn; lines can be told without colours.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stroke {
    /// Through all points.
    Solid,
    /// With gaps.
    Dashed,
    /// With a dot at each point.
    Dotted,
    /// Dots alone.
    Dots,
}

/// A plot of `size` CSS pixels; `about` is what is read out in its place. Points that are not finite are left out.
pub(super) fn plot(about: &str, size: (u32, u32), [x, y]: [Axis; 2], lines: &[Line]) -> Markup {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (size.0 * FINE, size.1 * FINE)).into_drawing_area();
        draw(&area, [x, y], lines).expect("a string takes what is drawn");
    }
    for (ink, variable) in Ink::ALL {
        let RGBColor(r, g, b) = ink.color();
        svg = svg.replace(&format!("\"#{r:02X}{g:02X}{b:02X}\""), &format!("\"{variable}\""));
    }
    // Words are sized by the style sheet's font, and the picture by the place where it stands.
    let svg = svg.replace("font-family=\"sans-serif\" ", "").replace(" opacity=\"1\"", "");
    html! { div.plot role="img" aria-label=(about) style={ "max-width:" (size.0) "px" } { (PreEscaped(svg)) } }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn draw<'a>(
    area: &Area<'a>,
    [x, y]: [Axis; 2],
    lines: &[Line],
) -> Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>> {
    let fine = FINE as i32;
    let words = |size: i32| ("sans-serif", size * fine).into_font().color(&Ink::Axis.color());
    let mut chart = ChartBuilder::on(area)
        .margin(6 * fine)
        .margin_right(12 * fine)
        .x_label_area_size(if x.label.is_empty() { 22 } else { 42 } * fine)
        .y_label_area_size(if y.label.is_empty() { 32 } else { 54 } * fine)
        .build_cartesian_2d(x.range, y.range)?;
    chart
        .configure_mesh()
        .x_labels(6)
        .y_labels(6)
        .x_desc(x.label)
        .y_desc(y.label)
        .label_style(words(16))
        .axis_desc_style(words(16))
        .x_label_formatter(&|value| tick(*value))
        .y_label_formatter(&|value| tick(*value))
        .axis_style(Ink::Axis.color().stroke_width(FINE))
        .bold_line_style(Ink::Grid.color().stroke_width(FINE))
        .light_line_style(TRANSPARENT)
        .draw()?;
    for line in lines {
        let style = line.ink.color().stroke_width(2 * FINE);
        let points = || line.points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite());
        match line.stroke {
            Stroke::Dashed => {
                chart.draw_series(DashedLineSeries::new(points(), 5 * FINE, 4 * FINE, style))?;
            }
            Stroke::Solid | Stroke::Dotted => {
                chart.draw_series(LineSeries::new(points(), style))?;
            }
            Stroke::Dots => {}
        }
        if matches!(line.stroke, Stroke::Dotted | Stroke::Dots) {
            let dot = |point| Circle::new(point, 4 * fine, line.ink.color().filled());
            chart.draw_series(points().map(dot))?;
        }
    }
    area.present()
}

/// A number at an axis, as short as it can be.
fn tick(value: f64) -> String {
    // Zero has no sign, whatever the rounding says.
    format!("{}", (value * 1000.0).round() / 1000.0 + 0.0)
}
