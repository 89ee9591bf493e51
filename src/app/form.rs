//! The generic form while it is being filled in.

use super::input::Input;
use crate::config::key::{Code, Key};
use crate::config::theme::Role;
use crate::model::{Failure, Field, FieldKind, Form, Offer, Preview, Problem, Safe, Verb};

/// A form on the screen.
#[derive(Clone, Debug)]
pub struct FormView {
    /// Ties previews to this form as it is now.
    pub serial: u64,
    pub form: Form,
    pub inputs: Vec<Input>,
    pub focus: usize,
    /// From the pure check: at once, with every key.
    pub problems: Vec<Problem>,
    /// From the look outside; `None` while it is under way.
    pub preview: Option<Result<Preview, Failure>>,
    /// The user has asked to send it: problems of untouched fields show, too.
    pub tried: bool,
    /// What was typed into the field with the cursor, by which its list is narrowed down; nothing was typed yet: all of it.
    pub sought: Option<String>,
    /// The value of a field with a list counts as one piece, as the user has come to it or picked it: what is typed takes its
    /// place. Whoever moves in it edits it.
    pub whole: bool,
}

/// What a key did to a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pressed {
    Nothing,
    /// The cursor moved.
    Moved,
    /// A value changed.
    Changed,
}

/// One paragraph of what will happen: its name, where it has one, and what it says.
pub struct Told {
    pub name: Option<Safe>,
    pub text: Safe,
    pub role: Role,
}

impl Told {
    fn of(text: impl Into<Safe>, role: Role) -> Self {
        Self { name: None, text: text.into(), role }
    }
}

impl FormView {
    /// What will happen if it is sent as it is: facts, findings, what is changed, the request.
    #[must_use]
    pub fn outlook(&self) -> Vec<Told> {
        let preview = match &self.preview {
            None => return vec![Told::of("looking at files and prices …", Role::Quiet)],
            Some(Err(failure)) => {
                return vec![Told::of(failure.what.clone(), Role::Error), Told::of(failure.hint.clone(), Role::Text)];
            }
            Some(Ok(preview)) => preview,
        };
        let mut told: Vec<Told> = preview
            .facts
            .iter()
            .map(|(name, value)| Told { name: Some(name.clone()), text: value.clone(), role: role_of(name.as_str()) })
            .collect();
        for problem in self.problems_of("") {
            told.push(Told::of(Safe::default(), Role::Text));
            told.push(Told::of(problem.message.clone(), if problem.fatal { Role::Error } else { Role::Warning }));
        }
        let changed = self.form.fields.iter().filter(|field| field.value != field.initial && !self.is_unsettled(&field.name));
        let changed: Vec<_> = changed.collect();
        if !changed.is_empty() {
            told.push(Told::of(Safe::default(), Role::Text));
            let head = if self.form.verb == Verb::Clone { "Different from its parent" } else { "Changed here" };
            told.push(Told::of(head, Role::Head));
            told.extend(changed.into_iter().flat_map(difference).map(|line| Told::of(line, Role::Marked)));
        }
        let wrong: Vec<&str> = self
            .form
            .fields
            .iter()
            .filter(|field| self.problems_of(&field.name).any(|problem| problem.fatal))
            .map(|field| field.label.as_ref())
            .collect();
        if !wrong.is_empty() {
            told.push(Told::of(Safe::default(), Role::Text));
            told.push(Told::of(format!("Nothing is sent until this is mended: {}.", wrong.join(", ")), Role::Warning));
        }
        if preview.request.is_empty() {
            return told;
        }
        told.push(Told::of(Safe::default(), Role::Text));
        told.push(Told::of("Request", Role::Head));
        told.extend(preview.request.lines().map(|line| Told::of(Safe::line(line), Role::Quiet)));
        told
    }

    /// The same as a text, for a window with no room beside the fields; with what is wrong with single fields.
    #[must_use]
    pub fn outlook_text(&self) -> Safe {
        let about = self.form.fields.iter().flat_map(|field| self.problems_of(&field.name));
        let mut lines: Vec<String> = about.map(|problem| format!("{}: {}", problem.field, problem.message)).collect();
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.extend(self.outlook().iter().map(|told| match &told.name {
            Some(name) => format!("{name}: {}", told.text),
            None => told.text.to_string(),
        }));
        Safe::text(&lines.join("\n"))
    }

    #[must_use]
    pub fn new(serial: u64, form: Form, check: fn(&Form) -> Vec<Problem>) -> Self {
        let inputs = form.fields.iter().map(|field| Input::new(&field.value, field.kind == FieldKind::Area)).collect();
        let problems = check(&form);
        Self { serial, form, inputs, focus: 0, problems, preview: None, tried: false, sought: None, whole: true }
    }

    /// Something differs from what the form opened with.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.form.fields.iter().any(|field| field.value != field.initial)
    }

    /// Takes over the values of an earlier, abandoned form.
    pub fn restore(&mut self, draft: &Form, check: fn(&Form) -> Vec<Problem>) {
        for (field, input) in self.form.fields.iter_mut().zip(&mut self.inputs) {
            if let Some(old) = draft.fields.iter().find(|old| old.name == field.name && old.value != old.initial) {
                field.value.clone_from(&old.value);
                *input = Input::new(&field.value, field.kind == FieldKind::Area);
            }
        }
        self.problems = check(&self.form);
    }

    /// What is typed into the field with the cursor looks for a row of its list, and is none yet.
    #[must_use]
    pub fn is_searching(&self) -> bool {
        let Some(field) = self.form.fields.get(self.focus).filter(|_| self.sought.is_some()) else { return false };
        let FieldKind::Pick { offers } = &field.kind else { return false };
        !offers.is_empty() && !offers.iter().any(|offer| offer.is(&field.value))
    }

    /// The field of that name is one that something is looked for with: nothing is wrong with it until it is left.
    fn is_unsettled(&self, field: &str) -> bool {
        self.is_searching() && self.form.fields.get(self.focus).is_some_and(|focused| focused.name == field)
    }

    /// Everything that is to be told about a field: instant findings first, then those of the preview.
    pub fn problems_of<'a>(&'a self, field: &'a str) -> impl Iterator<Item = &'a Problem> {
        let unsettled = self.is_unsettled(field);
        let previewed = match &self.preview {
            Some(Ok(preview)) => preview.problems.as_slice(),
            _ => &[],
        };
        let instant = &self.problems;
        instant
            .iter()
            .chain(previewed.iter().filter(|late| !instant.contains(late)))
            .filter(move |problem| problem.field == field && !unsettled)
    }

    /// The first field that keeps the form from being sent.
    #[must_use]
    pub fn blocked(&self) -> Option<&Problem> {
        let previewed = match &self.preview {
            Some(Ok(preview)) => preview.problems.as_slice(),
            _ => &[],
        };
        let place = |problem: &&Problem| self.form.fields.iter().position(|field| field.name == problem.field);
        let fatal = self.problems.iter().chain(previewed).filter(|problem| problem.fatal);
        fatal.min_by_key(|problem| place(problem).unwrap_or(usize::MAX))
    }

    /// The list of the field with the cursor, as far as it fits what was typed; and where in it the field's value is.
    #[must_use]
    pub fn offers(&self) -> Option<(Vec<&Offer>, Option<usize>)> {
        let field = self.form.fields.get(self.focus)?;
        let FieldKind::Pick { offers } = &field.kind else { return None };
        let mut shown: Vec<&Offer> =
            offers.iter().filter(|offer| self.sought.as_ref().is_none_or(|text| offer.fits(text))).collect();
        if let Some(text) = &self.sought {
            shown.sort_by_key(|offer| !offer.says(text));
        }
        let at = shown.iter().position(|offer| offer.is(&field.value));
        Some((shown, at))
    }

    /// The whole list of the field with the cursor.
    #[must_use]
    pub fn all_offers(&self) -> Vec<&Offer> {
        match self.form.fields.get(self.focus).map(|field| &field.kind) {
            Some(FieldKind::Pick { offers }) => offers.iter().collect(),
            _ => Vec::new(),
        }
    }

    /// What Enter takes of the list: the first that fits what was typed. A pattern is an answer of its own.
    #[must_use]
    pub fn first_found(&self) -> Option<&Offer> {
        let searching =
            self.is_searching() && self.sought.as_ref().is_some_and(|text| !text.contains('*') && !text.trim().is_empty());
        self.offers().filter(|_| searching)?.0.first().copied()
    }

    /// The next one of the list, or the one before.
    fn picked(&self, onwards: bool) -> Option<String> {
        let (mut offers, at) = self.offers()?;
        if offers.is_empty() {
            // Nothing fits what was typed: whoever picks all the same picks from all of it.
            offers = self.all_offers();
        }
        let last = offers.len().checked_sub(1)?;
        let to = match (at, onwards) {
            (None, true) => 0,
            (None, false) => last,
            (Some(at), true) => {
                if at == last {
                    0
                } else {
                    at + 1
                }
            }
            (Some(at), false) => at.checked_sub(1).unwrap_or(last),
        };
        Some(offers[to].value.clone())
    }

    fn move_to(&mut self, focus: usize) -> Pressed {
        self.focus = focus;
        (self.sought, self.whole) = (None, true);
        Pressed::Moved
    }

    /// Puts the cursor on a field by name.
    pub fn focus_on(&mut self, name: &str) {
        (self.sought, self.whole) = (None, true);
        if let Some(at) = self.form.fields.iter().position(|field| field.name == name) {
            self.focus = at;
        }
    }

    /// Handles a key that is not the form's own (send, close).
    pub fn press(&mut self, key: Key, check: fn(&Form) -> Vec<Problem>) -> Pressed {
        let last = self.form.fields.len().saturating_sub(1);
        let (next, before) = (if self.focus == last { 0 } else { self.focus + 1 }, self.focus.checked_sub(1).unwrap_or(last));
        // Who has typed into a list is in it with the arrows, too.
        let listed = self.sought.is_some() && self.offers().is_some_and(|(offers, _)| !offers.is_empty());
        let cycle = match key.code {
            Code::Char('n') if key.ctrl => Some(true),
            Code::Char('p') if key.ctrl => Some(false),
            Code::Down if listed => Some(true),
            Code::Up if listed => Some(false),
            _ => None,
        };
        let picked = cycle.and_then(|onwards| self.picked(onwards));
        let found = self.first_found().filter(|_| key.code == Code::Enter).map(|offer| offer.value.clone());
        let Some(field) = self.form.fields.get_mut(self.focus) else { return Pressed::Nothing };
        let input = &mut self.inputs[self.focus];
        let area = field.kind == FieldKind::Area;
        let at_edge = |up: bool| {
            let (line, _) = input.cursor();
            if up { line == 0 } else { line + 1 >= input.area().lines().len() }
        };
        match key.code {
            Code::Tab => return self.move_to(next),
            Code::BackTab => return self.move_to(before),
            Code::Down if cycle.is_none() && (!area || at_edge(false)) => return self.move_to(next),
            Code::Up if cycle.is_none() && (!area || at_edge(true)) => return self.move_to(before),
            Code::Enter if !area => {
                let Some(value) = found else { return self.move_to(next) };
                *input = Input::new(&value, false);
                field.value = value;
                self.problems = check(&self.form);
                self.move_to(next);
                return Pressed::Changed;
            }
            _ => {}
        }
        let chosen = match &field.kind {
            FieldKind::Toggle if matches!(key.code, Code::Char(' ') | Code::Left | Code::Right) => {
                Some(if field.value == "yes" { "no" } else { "yes" }.to_owned())
            }
            FieldKind::Toggle => return Pressed::Nothing,
            FieldKind::Pick { .. } if cycle.is_some() => picked,
            FieldKind::Choice { options, open } => {
                let step = match key.code {
                    Code::Right | Code::Char(' ') if !open => Some(true),
                    Code::Left if !open => Some(false),
                    _ => cycle,
                };
                match step {
                    Some(onwards) => next_option(options, &field.value, onwards),
                    None if !open => return Pressed::Nothing,
                    None => None,
                }
            }
            _ => None,
        };
        if let Some(value) = chosen {
            *input = Input::new(&value, false);
            field.value = value;
            self.whole = true;
        } else {
            let types = matches!(key.code, Code::Char(_)) && !key.ctrl && !key.alt;
            if std::mem::take(&mut self.whole) && types && matches!(field.kind, FieldKind::Pick { .. }) {
                *input = Input::new("", false);
            }
            input.press(key);
            let text = input.text();
            if text == field.value {
                return Pressed::Moved;
            }
            self.sought = Some(text.clone());
            field.value = text;
        }
        self.problems = check(&self.form);
        Pressed::Changed
    }

    /// Pastes into the field with the cursor.
    pub fn paste(&mut self, text: &str, check: fn(&Form) -> Vec<Problem>) {
        if let (Some(field), Some(input)) = (self.form.fields.get_mut(self.focus), self.inputs.get_mut(self.focus)) {
            if std::mem::take(&mut self.whole) && matches!(field.kind, FieldKind::Pick { .. }) {
                *input = Input::new("", false);
            }
            input.paste(text);
            field.value = input.text();
            self.sought = Some(field.value.clone());
            self.problems = check(&self.form);
        }
    }
}

/// What it costs is looked for first.
fn role_of(fact: &str) -> Role {
    if matches!(fact, "price" | "at most" | "for the lease") { Role::Money } else { Role::Text }
}

fn next_option(options: &[std::borrow::Cow<'static, str>], value: &str, onwards: bool) -> Option<String> {
    let count = options.len();
    if count == 0 {
        return None;
    }
    let at = match options.iter().position(|option| option == value) {
        Some(at) if onwards => (at + 1) % count,
        Some(at) => (at + count - 1) % count,
        // Not one of them: the next one in the alphabet, which is close to what was typed.
        None => options.iter().position(|option| option.as_ref() >= value).unwrap_or(0),
    };
    Some(options[at].to_string())
}

/// What changed in a field, line by line for areas.
fn difference(field: &Field) -> Vec<Safe> {
    if field.kind != FieldKind::Area {
        return vec![format!("{}: {} -> {}", field.label, field.initial, field.value).into()];
    }
    let (old, new): (Vec<&str>, Vec<&str>) = (field.initial.lines().collect(), field.value.lines().collect());
    let gone = old.iter().filter(|line| !new.contains(line)).map(|line| Safe::line(&format!("- {line}")));
    let come = new.iter().filter(|line| !old.contains(line)).map(|line| Safe::line(&format!("+ {line}")));
    gone.chain(come).collect()
}
