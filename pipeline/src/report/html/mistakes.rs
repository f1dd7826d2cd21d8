//! The mistakes that the model was surest of, to see and to hear.

use maud::{Markup, html};

use super::super::words;
use super::super::{Mistake, ReportData};
use super::{name, spectrogram, wav};

pub(super) fn section(data: &ReportData) -> Option<Markup> {
    (!data.mistakes.is_empty()).then(|| html! {
        p { "Test clips that the model is surest about and wrong. Some are wrong labels: " code { "ecosight audit labels" } " lists more." }
        div.mistakes { @for mistake in &data.mistakes { (card(mistake)) } }
    })
}

fn card(mistake: &Mistake) -> Markup {
    let (label, predicted) = (&mistake.label, &mistake.predicted);
    html! {
        figure.mistake {
            @if let Some(uri) = mistake.spectrogram.as_ref().and_then(spectrogram::data_uri) {
                img src=(uri) alt={ "Spectrogram of " (mistake.uri) ": time to the right, pitch upwards" };
            }
            @if !mistake.audio.is_empty() {
                audio controls preload="none" aria-label={ "Excerpt of " (mistake.uri) } src=(wav::data_uri(&mistake.audio)) {}
            }
            figcaption {
                span { "label " strong { (name(label)) } }
                span { "taken for " strong.bad { (name(predicted)) } " at " (words::percent(mistake.probability)) }
                code { (name(&mistake.uri)) }
            }
        }
    }
}
