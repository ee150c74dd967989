//! `*` for any characters, `?` for one.

/// Whether the whole of `text` matches.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut read) = (0, 0);
    // Where to go on when what follows the last star does not match: the star took one character too few.
    let mut retry = None;
    while let Some(next) = text.get(read) {
        match pattern.get(at) {
            Some('*') => {
                retry = Some((at, read));
                at += 1;
            }
            Some(expected) if *expected == '?' || expected == next => {
                at += 1;
                read += 1;
            }
            _ => match &mut retry {
                Some((star, taken)) => {
                    *taken += 1;
                    (at, read) = (*star + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(at).all(|rest| *rest == '*')
}

/// As [`matches`], for each of the six parts of an ARN: a wildcard does not reach over a colon (IAM User Guide, "Amazon
/// Resource Name (ARN) condition operators").
pub(super) fn arn_matches(pattern: &str, arn: &str) -> bool {
    let parts = |arn| str::splitn(arn, 6, ':');
    parts(pattern).count() == parts(arn).count()
        && parts(pattern).zip(parts(arn)).all(|(pattern, part)| matches(pattern, part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_take_any_number_of_characters_and_question_marks_one() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "anything", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("a*c", "ac", true),
            ("a*c", "abcbc", true),
            ("a*c", "abcb", false),
            ("*ab*ab", "abab", true),
            ("*ab*ab", "aab", false),
            ("**x?", "wxyxz", true),
            ("a", "ab", false),
            ("ab", "a", false),
            ("é?", "éü", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_star_ends_at_the_colon_of_an_arn() {
        let arn = "arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-1:x";
        for (pattern, expected) in [
            (arn, true),
            ("arn:aws:elasticfilesystem:*:*:access-point/fsap-*", true),
            ("arn:*", false),
            ("arn:aws:elasticfilesystem:us-*:access-point/*:x:*", false),
            ("*:*:*:*:*:*", true),
            ("*:*:*:*:*:*:*", true),
            ("arn:aws:elasticfilesystem:eu-*:*:*", false),
        ] {
            assert_eq!(arn_matches(pattern, arn), expected, "{pattern}");
        }
    }
}
