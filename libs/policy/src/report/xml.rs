//! The little of XML that JUnit reports need: elements, attributes, text.
//!
//! Invariant: no entity is expanded but the five of XML and numbers, no other file is read, and each step consumes
//! input. Documents that break off are told.

/// What comes next in a document.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Token<'t> {
    /// `<name a="b">`; closed at once if it ends in `/>`.
    Open {
        name: &'t str,
        attributes: &'t str,
        is_closed: bool,
    },
    /// `</name>`.
    Close(&'t str),
    /// Text, not yet decoded; CDATA is text.
    Text(&'t str),
}

/// A document that is being read.
pub(super) struct Reader<'t> {
    rest: &'t str,
    /// The text ended inside of a tag, a comment or CDATA.
    pub(super) is_cut: bool,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let rest = text.trim_start_matches('\u{feff}');
        Self {
            rest,
            is_cut: false,
        }
    }

    /// Up to `end`, which is consumed; `None`: it does not come, and the document is cut.
    fn until(&mut self, skip: usize, end: &str) -> Option<&'t str> {
        let body = self.rest.get(skip..)?;
        let Some(at) = body.find(end) else {
            self.is_cut = true;
            self.rest = "";
            return None;
        };
        self.rest = &body[at + end.len()..];
        Some(&body[..at])
    }

    /// A tag's body; `>` inside of quotes does not end it.
    fn tag(&mut self) -> Option<&'t str> {
        let body = &self.rest[1..];
        let mut quote = None;
        for (at, c) in body.char_indices() {
            match (quote, c) {
                (Some(open), c) if open == c => quote = None,
                (None, '"' | '\'') => quote = Some(c),
                (None, '>') => {
                    self.rest = &body[at + 1..];
                    return Some(&body[..at]);
                }
                _ => {}
            }
        }
        self.is_cut = true;
        self.rest = "";
        None
    }
}

impl<'t> Iterator for Reader<'t> {
    type Item = Token<'t>;

    fn next(&mut self) -> Option<Token<'t>> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            if !self.rest.starts_with('<') {
                let end = self.rest.find('<').unwrap_or(self.rest.len());
                let (text, rest) = self.rest.split_at(end);
                self.rest = rest;
                return Some(Token::Text(text));
            }
            if self.rest.starts_with("<!--") {
                self.until(4, "-->")?;
            } else if self.rest.starts_with("<![CDATA[") {
                return self.until(9, "]]>").map(Token::Text);
            } else if self.rest.starts_with("<?") {
                self.until(2, "?>")?;
            } else if self.rest.starts_with("<!") {
                self.until(2, ">")?;
            } else if self.rest.starts_with("</") {
                return self.until(2, ">").map(|name| Token::Close(name.trim()));
            } else {
                let body = self.tag()?;
                let is_closed = body.ends_with('/');
                let body = body.strip_suffix('/').unwrap_or(body);
                let end = body.find(char::is_whitespace).unwrap_or(body.len());
                let (name, attributes) = body.split_at(end);
                return Some(Token::Open {
                    name,
                    attributes,
                    is_closed,
                });
            }
        }
    }
}

/// The value of an attribute, decoded.
pub(super) fn attribute(attributes: &str, wanted: &str) -> Option<String> {
    let mut rest = attributes;
    loop {
        let equals = rest.find('=')?;
        let name = rest[..equals].trim();
        let after = rest[equals + 1..].trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let body = &after[1..];
        let end = body.find(quote)?;
        if name == wanted {
            return Some(decode(&body[..end]));
        }
        rest = &body[end + 1..];
    }
}

/// A text with its entities replaced; an unknown one stays as it is.
pub(super) fn decode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.char_indices().take(12).find(|(_, c)| *c == ';');
        let known = end.and_then(|(end, _)| Some((entity(&rest[1..end])?, end)));
        if let Some((c, end)) = known {
            out.push(c);
            rest = &rest[end + 1..];
        } else {
            out.push('&');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    out
}

fn entity(name: &str) -> Option<char> {
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}
