//! Keys: the top layer gets them first; what it does not want is looked up in the keymap. Keys typed into a text never
//! reach the keymap.

use super::event::{Effect, Wake};
use super::form::{FormView, Pressed};
use super::overlay::{ARM_MILLIS, Confirmed, Overlay};
use super::shell::talk::Wish;
use super::{App, Tone};
use crate::config::key::{Code, Key};
use crate::model::{FieldKind, Order};

impl App {
    pub(super) fn key(&mut self, key: Key, out: &mut Vec<Effect>) {
        let Some(top) = self.overlays.pop() else {
            if let Some(action) = self.setup.keymap.action(self.place(), key) {
                self.act(action, out);
            }
            return;
        };
        // Each layer is put back unless the key closed it.
        match top {
            Overlay::Form(form) => self.key_in_form(form, key, out),
            Overlay::Confirm(mut confirm) => {
                let cancels = key.code == Code::Enter && confirm.typed.is_none() && !confirm.on_yes;
                let waited = self.clock.now.as_millisecond() - confirm.opened.as_millisecond();
                // Who is typing when this question comes up has not read it: it waits for a pause.
                if let Confirmed::Trust(session) = confirm.what {
                    if waited < ARM_MILLIS {
                        confirm.opened = self.clock.now;
                        return self.overlays.push(Overlay::Confirm(confirm));
                    }
                    if cancels || matches!(key.code, Code::Esc | Code::Char('n' | 'q')) {
                        return out.push(Effect::Shell { session, wish: Wish::Trust(false) });
                    }
                }
                if cancels || key.code == Code::Esc {
                    return;
                }
                if let Some(top) = confirm.broken(self.size).scrolled(confirm.top, letters(key.code, confirm.typed.is_none())) {
                    confirm.top = top;
                    return self.overlays.push(Overlay::Confirm(confirm));
                }
                let yes = match key.code {
                    Code::Tab | Code::BackTab => {
                        confirm.on_yes = !confirm.on_yes;
                        false
                    }
                    Code::Left | Code::Right if confirm.typed.is_none() => {
                        confirm.on_yes = !confirm.on_yes;
                        false
                    }
                    Code::Enter => confirm.is_typed(),
                    Code::Char('y') if confirm.typed.is_none() => true,
                    Code::Char('n' | 'q') if confirm.typed.is_none() => return,
                    _ => {
                        if let Some((_, input)) = &mut confirm.typed {
                            input.press(key);
                        }
                        false
                    }
                };
                if !yes || waited < ARM_MILLIS {
                    self.overlays.push(Overlay::Confirm(confirm));
                    return;
                }
                match confirm.what {
                    Confirmed::Order(order) => self.send(order, out),
                    Confirmed::Quit => self.leave(out),
                    Confirmed::Trust(session) => out.push(Effect::Shell { session, wish: Wish::Trust(true) }),
                    Confirmed::Paste { session, text } => self.send_paste(session, &text, out),
                    Confirmed::EndShell(session) => self.end_shell(session, out),
                }
            }
            Overlay::Palette(mut palette) => {
                match key.code {
                    Code::Esc => return,
                    Code::Enter => {
                        let chosen = palette.found().get(palette.cursor).map(|(action, _)| *action);
                        if let Some(action) = chosen {
                            self.act(action, out);
                        }
                        return;
                    }
                    Code::Up => palette.cursor = palette.cursor.saturating_sub(1),
                    Code::Down => palette.cursor += 1,
                    Code::PageUp => palette.cursor = palette.cursor.saturating_sub(10),
                    Code::PageDown => palette.cursor += 10,
                    _ => {
                        if palette.input.press(key) {
                            palette.cursor = 0;
                        }
                    }
                }
                palette.cursor = palette.cursor.min(palette.found().len().saturating_sub(1));
                self.overlays.push(Overlay::Palette(palette));
            }
            Overlay::Sort(at) => {
                let count = self.pane().spec.columns.len();
                let at = match key.code {
                    Code::Esc => return,
                    Code::Enter => {
                        let (column, descending) = self.pane().sort;
                        self.sort(at, column == at && !descending);
                        return;
                    }
                    Code::Up | Code::Char('k') => at.saturating_sub(1),
                    Code::Down | Code::Char('j') => (at + 1).min(count.saturating_sub(1)),
                    _ => at,
                };
                self.overlays.push(Overlay::Sort(at));
            }
            Overlay::Text(mut view) => {
                if matches!(key.code, Code::Esc | Code::Enter | Code::Char('q')) {
                    return;
                }
                view.top = view.broken(self.size).scrolled(view.top, letters(key.code, true)).unwrap_or(view.top);
                self.overlays.push(Overlay::Text(view));
            }
            Overlay::Filter { mut input, before } => {
                let text = match key.code {
                    Code::Esc => before.clone(),
                    Code::Up | Code::Down => {
                        self.act(
                            if key.code == Code::Up {
                                crate::config::action::Action::Up
                            } else {
                                crate::config::action::Action::Down
                            },
                            out,
                        );
                        self.overlays.push(Overlay::Filter { input, before });
                        return;
                    }
                    _ => {
                        input.press(key);
                        input.text()
                    }
                };
                self.set_filter(text);
                if !matches!(key.code, Code::Esc | Code::Enter) {
                    self.overlays.push(Overlay::Filter { input, before });
                }
            }
            Overlay::Hosts(at) => {
                if let Some(at) = self.key_in_hosts(at, key) {
                    self.overlays.push(Overlay::Hosts(at));
                }
            }
            Overlay::Search(mut input) => match key.code {
                Code::Esc => {}
                Code::Enter if self.in_shell() => self.search_shell(&input.text(), out),
                Code::Enter => self.search(&input.text(), out),
                _ => {
                    input.press(key);
                    self.overlays.push(Overlay::Search(input));
                }
            },
        }
    }

    fn set_filter(&mut self, text: String) {
        let clock = self.clock.clone();
        let pane = self.pane_mut();
        if pane.filter != text {
            pane.filter = text;
            pane.arrange(&clock);
        }
    }

    fn key_in_form(&mut self, mut form: Box<FormView>, key: Key, out: &mut Vec<Effect>) {
        let check = self.check_of(&form);
        match key.code {
            Code::Esc => {
                if form.is_changed() {
                    self.drafts.insert((form.form.resource.clone(), form.form.verb), form.form);
                    self.say(Tone::Plain, "Not sent. What you entered is kept for next time.", out);
                }
                return;
            }
            Code::Char('s') if key.ctrl => return self.send_form(form, out),
            Code::F(2) => {
                let text = form.outlook_text();
                self.overlays.push(Overlay::Form(form));
                return self.read("What will happen".into(), text, Tone::Plain);
            }
            Code::Char('r') if key.ctrl => {
                let mut fresh = form.form.clone();
                for field in &mut fresh.fields {
                    field.value.clone_from(&field.initial);
                }
                let mut view = FormView::new(self.next_serial(), fresh, check);
                view.focus = form.focus;
                self.preview_soon(&mut view, out);
                self.overlays.push(Overlay::Form(Box::new(view)));
                return;
            }
            _ => {}
        }
        if form.press(key, check) == Pressed::Changed {
            self.toast = None;
            self.preview_soon(&mut form, out);
        }
        self.overlays.push(Overlay::Form(form));
    }

    fn check_of(&self, form: &FormView) -> fn(&crate::model::Form) -> Vec<crate::model::Problem> {
        self.panes.iter().find(|pane| pane.spec.id == form.form.resource).map_or(self.pane().spec.check, |pane| pane.spec.check)
    }

    /// The form changed: look outside again once the typing rests. Answers to earlier looks no longer count.
    fn preview_soon(&mut self, form: &mut FormView, out: &mut Vec<Effect>) {
        form.serial = self.next_serial();
        form.preview = None;
        out.push(Effect::After { millis: 250, wake: Wake::Preview(form.serial) });
    }

    fn send_form(&mut self, mut form: Box<FormView>, out: &mut Vec<Effect>) {
        form.tried = true;
        if let Some(problem) = form.blocked() {
            let (field, message) = (problem.field.clone(), problem.message.clone());
            form.focus_on(&field);
            self.say(Tone::Bad, message, out);
            self.overlays.push(Overlay::Form(form));
            return;
        }
        if form.preview.is_none() {
            self.say(Tone::Plain, "Still looking at files and prices; press again in a moment.", out);
            self.overlays.push(Overlay::Form(form));
            return;
        }
        // Kept until it is known to have worked, so that a failed launch can be mended and sent again.
        self.drafts.insert((form.form.resource.clone(), form.form.verb), form.form.clone());
        let targets = form.form.parent.clone().into_iter().collect();
        let order = Order { resource: form.form.resource.clone(), verb: form.form.verb, targets, form: Some(form.form) };
        self.send(order, out);
    }

    pub(super) fn paste(&mut self, text: &str, out: &mut Vec<Effect>) {
        let Some(mut top) = self.overlays.pop() else { return };
        match &mut top {
            Overlay::Form(form) => {
                let check = self.check_of(form);
                if matches!(
                    form.form.fields.get(form.focus).map(|field| &field.kind),
                    Some(
                        FieldKind::Line
                            | FieldKind::Area
                            | FieldKind::Whole { .. }
                            | FieldKind::Choice { open: true, .. }
                            | FieldKind::Pick { .. }
                    )
                ) {
                    form.paste(text, check);
                    self.preview_soon(form, out);
                }
            }
            Overlay::Palette(palette) => palette.input.paste(text),
            Overlay::Filter { input, .. } => {
                input.paste(text);
                let text = input.text();
                self.set_filter(text);
            }
            Overlay::Search(input) => input.paste(text),
            // A paste never answers a question.
            Overlay::Confirm(_) | Overlay::Sort(_) | Overlay::Text(_) | Overlay::Hosts(_) => {}
        }
        self.overlays.push(top);
    }
}

/// The letters that scroll, as the keys that they stand for, where no text is typed.
fn letters(code: Code, free: bool) -> Code {
    match code {
        Code::Char('k') if free => Code::Up,
        Code::Char('j') if free => Code::Down,
        Code::Char(' ') if free => Code::PageDown,
        Code::Char('g') if free => Code::Home,
        Code::Char('G') if free => Code::End,
        other => other,
    }
}
