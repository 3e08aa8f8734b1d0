//! What trained tasks see of a text: which of an encoder's vectors, and how much each counts.

use frontdesk_engine::backend::Backend;
use frontdesk_engine::embedding_model::EmbeddingModel;
use frontdesk_engine::encoder::Tap;
use frontdesk_engine::features::Pooling;

/// Names the choice below, so that tasks learnt with another one are told apart.
pub const TEXT_FEATURES: &str = "encoder-mean-max-1";

/// What the model's own vector counts beside each of the others.
///
/// Few examples are learnt best from the vector that the model was trained to give; many make use of
/// all of them.
const OWN_IMPORTANCE: f32 = 2.0;

/// The model's own vector; the means after half of the layers; the maxima there and at the end.
pub fn taps<B: Backend>(model: &EmbeddingModel<B>) -> Vec<Tap> {
    let own = model.encoder().tap();
    let middle = own.layers / 2;
    let tap = |layers, pooling| Tap { layers, pooling };
    let (mean, max) = (Pooling::Mean, Pooling::Max);
    vec![own, tap(middle, mean), tap(middle, max), tap(own.layers, max)]
}

/// How much of a text's vector each element is to count, `[taps * hidden]`.
pub fn importance<B: Backend>(model: &EmbeddingModel<B>) -> Vec<f32> {
    let hidden = model.encoder().config().hidden;
    let of_tap = |index| if index == 0 { OWN_IMPORTANCE } else { 1.0 };
    (0..taps(model).len() * hidden).map(|element| of_tap(element / hidden)).collect()
}

/// A label's name as people would write it: `lost_or_stolen_card` and `PlayMusic` in words.
pub fn words(name: &str) -> String {
    let mut text = String::new();
    let mut after_lower = false;
    for character in name.chars() {
        if character.is_uppercase() && after_lower {
            text.push(' ');
        }
        after_lower = character.is_lowercase() || character.is_numeric();
        match character {
            '_' | '-' | '.' | '/' => text.push(' '),
            _ => text.extend(character.to_lowercase()),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn names_become_words() {
        for (name, expected) in [
            ("lost_or_stolen_card", "lost or stolen card"),
            ("PlayMusic", "play music"),
            ("Refund_not_showing_up", "refund not showing up"),
            ("ATM-fee", "atm fee"),
            ("Überweisung", "überweisung"),
            ("", ""),
        ] {
            assert_eq!(words(name), expected);
        }
    }
}
