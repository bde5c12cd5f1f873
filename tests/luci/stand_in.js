/*
 * A stand-in for what LuCI gives a view in the browser, written from LuCI's own documentation.
 *
 * Rule: what the documentation has not is refused with an error: names, properties, datatypes.
 * Rule: what it has does what LuCI does, so far as these views can see it. A bare text is HTML.
 * Rule: answers come from /ubus, as from rpcd; nothing is made up here.
 */
'use strict';

const refuse = (name) => { throw new Error(`not in LuCI's documentation: ${name}`); };

/* An object that may be used only as documented; `settable` are the properties a view may set. */
function documented(name, target, settable = []) {
  return new Proxy(target, {
    get(object, key) {
      if (typeof key === 'symbol' || key === 'then') return object[key];
      if (!(key in object) && !settable.includes(key)) return refuse(`${name}.${key}`);
      const value = object[key];  // a class begins with a capital letter
      return typeof value === 'function' && !/^[A-Z]/.test(key) ? value.bind(object) : value;
    },
    set(object, key, value) {
      if (!settable.includes(key)) refuse(`${name}.${key} =`);
      object[key] = value;
      return true;
    },
  });
}

String.prototype.format = function (...given) {
  return this.replace(/%(%|[a-z])/g, (all, kind) => {
    if (kind === '%') return '%';
    if (!given.length) refuse(`${this}: too few values`);
    const value = given.shift();
    if (kind === 'd') return String(Math.floor(+value || 0));
    if (kind === 's') return String(value);
    return refuse(`format ${all}`);
  });
};

/* The hash under which a catalogue has a text: of its bytes, blanks as one. */
function hashed(text) {
  const bytes = new TextEncoder().encode(text.trim().replace(/\s+/g, ' '));
  const signed = (at) => (bytes[at] << 24) >> 24;
  const two = (at) => bytes[at] | (bytes[at + 1] << 8);
  let hash = bytes.length | 0, at = 0;
  for (; at + 4 <= bytes.length; at += 4) {
    hash = (hash + two(at)) | 0;
    hash = (hash << 16) ^ ((two(at + 2) << 11) ^ hash);
    hash = (hash + (hash >>> 11)) | 0;
  }
  switch (bytes.length - at) {
    case 3:
      hash = (hash + two(at)) | 0;
      hash ^= hash << 16;
      hash ^= signed(at + 2) << 18;
      hash = (hash + (hash >>> 11)) | 0;
      break;
    case 2:
      hash = (hash + two(at)) | 0;
      hash ^= hash << 11;
      hash = (hash + (hash >>> 17)) | 0;
      break;
    case 1:
      hash = (hash + signed(at)) | 0;
      hash ^= hash << 10;
      hash = (hash + (hash >>> 1)) | 0;
  }
  hash ^= hash << 3;
  hash = (hash + (hash >>> 5)) | 0;
  hash ^= hash << 4;
  hash = (hash + (hash >>> 17)) | 0;
  hash ^= hash << 25;
  hash = (hash + (hash >>> 6)) | 0;
  return (hash >>> 0).toString(16).padStart(8, '0');
}

let catalogue = {};
const _ = (text) => {
  if (typeof text !== 'string') refuse('_ of something that is no text');
  return catalogue[hashed(text)] ?? text;
};

const dom = documented('dom', {
  append(node, children) {
    if (Array.isArray(children)) {
      for (const one of children) {
        if (one instanceof Node) node.appendChild(one);
        else if (one !== null && one !== undefined)
          node.appendChild(document.createTextNode(String(one)));
      }
    } else if (children instanceof Node) node.appendChild(children);
    else if (children !== null && children !== undefined) node.innerHTML = String(children);
    return node;
  },
  content(node, children) {
    node.replaceChildren();
    return dom.append(node, children);
  },
});

function E(tag, attributes, children) {
  if (typeof tag !== 'string' || !/^[a-z0-9]+$/.test(tag)) refuse(`E(${tag})`);
  const isAttributes = attributes && typeof attributes === 'object'
    && !Array.isArray(attributes) && !(attributes instanceof Node);
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(isAttributes ? attributes : {})) {
    if (typeof value === 'function') node.addEventListener(key, value);
    else if (value !== null && value !== undefined) node.setAttribute(key, value);
  }
  return dom.append(node, isAttributes ? children : attributes);
}

const STATUS = ['', 'InvalidCommandError', 'InvalidArgumentError', 'MethodNotFoundError',
  'NotFoundError', 'NoDataError', 'PermissionError', 'TimeoutError', 'UnsupportedError'];

async function call(object, method, args) {
  const answer = await fetch('/ubus', {
    method: 'POST',
    body: JSON.stringify({ object, method, args }),
  });
  return answer.json();  // [status, data]
}

const rpc = documented('rpc', {
  declare(options) {
    for (const key of Object.keys(options))
      if (!['object', 'method', 'params', 'expect', 'filter', 'reject', 'nobatch'].includes(key))
        refuse(`rpc.declare ${key}`);
    return async (...given) => {
      const args = Object.fromEntries((options.params || []).map((one, at) => [one, given[at]]));
      const [status, data] = await call(options.object, options.method, args);
      if (!options.expect) return status ? status : data;
      const [[key, fallback]] = Object.entries(options.expect);
      const value = key === '' ? data : data?.[key];
      return status || value === undefined ? fallback : value;
    };
  },
});

async function fileCall(method, args) {
  const [status, data] = await call('file', method, args);
  if (status) throw Object.assign(new Error(STATUS[status]), { name: STATUS[status] });
  return data;
}

const fs = documented('fs', {
  read: async (path) => (await fileCall('read', { path })).data,
  exec: (command, params) => fileCall('exec', { command, params: params ?? null }),
});

const polled = [];
window.pollNow = () => Promise.all(polled.map((one) => one()));
const poll = documented('poll', {
  add(task, seconds) {
    if (typeof task !== 'function' || !(seconds >= 1)) refuse('poll.add of this');
    polled.push(task);
    return true;
  },
});

const ui = documented('ui', {
  createHandlerFn(self, task, ...given) {
    const handler = typeof task === 'string' ? self[task] : task;
    if (typeof handler !== 'function') refuse(`a handler ${task}`);
    return async (event) => {
      const button = event.currentTarget;
      button.disabled = true;
      try {
        await handler.call(self, ...given, event);
      } finally {
        button.disabled = false;
      }
    };
  },
  addNotification(title, children, ...classes) {
    const node = E('div', { class: `alert-message ${classes.join(' ')}` },
      [title ? E('h4', [title]) : null, children]);
    document.getElementById('notifications').appendChild(node);
    return node;
  },
});

const L = documented('L', {
  resolveDefault: (value, fallback) => Promise.resolve(value).catch(() => fallback),
  toArray: (value) => value === null || value === undefined ? []
    : Array.isArray(value) ? value : typeof value === 'object' ? [value]
      : String(value).split(/\s+/).filter((one) => one !== ''),
});

/* Datatypes: name, or name(arguments), which may be datatypes. */
const HOST = /^(?=.{1,253}$)[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?(\.[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?)*$/;
const isV4 = (text) => /^(\d{1,3})(\.\d{1,3}){3}$/.test(text)
  && text.split('.').every((one) => +one <= 255);
const isV6 = (text) => /^[0-9a-fA-F:]+$/.test(text) && text.includes(':');
const DATATYPES = {
  and: (text, ...all) => all.every((one) => isOf(one, text)),
  or: (text, ...all) => all.some((one) => isOf(one, text)),
  uinteger: (text) => /^\d+$/.test(text),
  port: (text) => /^\d+$/.test(text) && +text <= 65535,
  range: (text, low, high) => text !== '' && +text >= +low && +text <= +high,
  host: (text) => isV4(text) || isV6(text) || (HOST.test(text) && !/^[\d.]+$/.test(text)),
};
function isOf(datatype, text) {
  const found = /^(\w+)(?:\((.*)\))?$/.exec(datatype);
  if (!found || !(found[1] in DATATYPES)) refuse(`datatype ${datatype}`);
  const parts = found[2] === undefined ? [] : found[2].match(/\w+(\([^)]*\))?/g);
  return DATATYPES[found[1]](text, ...parts);
}

const uci = { values: {} };

class Node_ {
  constructor(title, description) {
    Object.assign(this, { title: title ?? '', description: description ?? '', children: [] });
  }
}

class AbstractValue extends Node_ {
  static settable = ['default', 'rmempty', 'optional', 'datatype', 'placeholder', 'validate',
    'readonly', 'retain', 'modalonly', 'editable', 'uciconfig', 'ucisection', 'ucioption'];

  constructor(map, section, option, title, description) {
    super(title, description);
    Object.assign(this, { map, section, option, rmempty: true, optional: false, default: null,
      datatype: null, placeholder: null, deps: [], invalid: null });
  }

  depends(option, value) { this.deps.push([option, value]); }

  validate() { return true; }

  cfgvalue(section_id) { return uci.values[section_id]?.[this.option] ?? null; }

  get id() { return `cbid.${this.map.config}.${this.section.name}.${this.option}`; }

  get isActive() {
    return !this.deps.length || this.deps.some(([option, value]) =>
      this.section.children.find((one) => one.option === option).formvalue() === value);
  }

  /* What is wrong with one text; null if nothing is. */
  fault(text) {
    if (text !== '' && this.datatype !== null && !isOf(this.datatype, text))
      return `Expecting: ${this.datatype}`;
    if (text === '' && !this.optional && !this.rmempty) return 'Expecting: non-empty value';
    const judged = this.validate.call(this.proxy, this.section.name, text);
    return judged === true ? null : String(judged || 'Expecting: valid value');
  }

  frame(widget) {
    this.note = E('div', { class: 'cbi-value-error' });
    this.field = E('div', { class: 'cbi-value', 'data-field': this.id, 'data-name': this.option }, [
      E('label', { class: 'cbi-value-title', for: `widget.${this.id}` }, this.title),
      E('div', { class: 'cbi-value-field' }, [widget,
        E('div', { class: 'cbi-value-description' }, this.description), this.note]),
    ]);
    return this.field;
  }

  check() {
    const texts = L.toArray(this.formvalue()).length ? [].concat(this.formvalue()) : [''];
    this.invalid = this.isActive ? texts.map((one) => this.fault(one)).find((one) => one) ?? null
      : null;
    this.note.textContent = this.invalid ?? '';
    this.field.classList.toggle('cbi-input-invalid', this.invalid !== null);
    this.field.hidden = !this.isActive;
  }

  parse() {
    const value = this.isActive ? this.formvalue() : null;
    const is = JSON.stringify(value), was = JSON.stringify(this.cfgvalue(this.section.name));
    const isEmpty = value === null || value === '' || (Array.isArray(value) && !value.length);
    const isUsual = value === this.default && (this.optional || this.rmempty);
    if (isEmpty || isUsual) {
      if (was !== 'null') this.map.changes.push([this.section.name, this.option, null]);
    } else if (is !== was) this.map.changes.push([this.section.name, this.option, value]);
  }
}

class Value extends AbstractValue {
  static settable = [...AbstractValue.settable, 'password'];

  render() {
    this.input = E('input', { id: `widget.${this.id}`, type: this.password ? 'password' : 'text',
      placeholder: this.placeholder ?? '' });
    this.input.value = this.cfgvalue(this.section.name) ?? this.default ?? '';
    return this.frame(this.input);
  }

  formvalue() { return this.input.value; }
}

class Flag extends AbstractValue {
  static settable = [...AbstractValue.settable, 'enabled', 'disabled', 'tooltip'];

  constructor(...given) {
    super(...given);
    Object.assign(this, { enabled: '1', disabled: '0', default: '0' });
  }

  render() {
    this.input = E('input', { id: `widget.${this.id}`, type: 'checkbox' });
    this.input.checked = (this.cfgvalue(this.section.name) ?? this.default) === this.enabled;
    return this.frame(this.input);
  }

  formvalue() { return this.input.checked ? this.enabled : this.disabled; }
}

class ListValue extends AbstractValue {
  static settable = [...AbstractValue.settable, 'widget', 'size', 'orientation'];

  constructor(...given) {
    super(...given);
    this.choices = [];
  }

  value(key, title) { this.choices.push([String(key), title ?? String(key)]); }

  render() {
    this.input = E('select', { id: `widget.${this.id}` },
      this.choices.map(([key, title]) => E('option', { value: key }, [title])));
    this.input.value = this.cfgvalue(this.section.name) ?? this.default ?? '';
    return this.frame(this.input);
  }

  formvalue() { return this.input.value; }
}

class DynamicList extends AbstractValue {
  static settable = [...AbstractValue.settable, 'allowduplicates'];

  render() {
    this.items = E('div', { class: 'items' });
    this.input = E('input', { id: `widget.${this.id}`, type: 'text',
      placeholder: this.placeholder ?? '' });
    this.input.addEventListener('keydown', (event) => {
      if (event.key === 'Enter') this.add(this.input.value);
    });
    L.toArray(this.cfgvalue(this.section.name)).forEach((one) => this.put(one));
    return this.frame(E('div', { class: 'cbi-dynlist' }, [this.items, this.input]));
  }

  put(text) {
    const item = E('button', { class: 'item', type: 'button', 'data-value': text }, [text]);
    item.addEventListener('click', () => { item.remove(); this.map.checkAll(); });
    this.items.appendChild(item);
    return item;
  }

  /* What is refused stays in the input, as in LuCI; what is not counts before it is added. */
  add(text) {
    if (this.fault(text) === null) {
      this.put(text);
      this.input.value = '';
    }
    this.map.checkAll();
  }

  formvalue() {
    const items = [...this.items.children].map((one) => one.dataset.value);
    const typed = this.input.value.trim();
    return typed === '' || this.refused || items.includes(typed) ? items : [...items, typed];
  }

  check() {
    super.check();
    const fault = this.input.value === '' ? null : this.fault(this.input.value);
    this.refused = fault !== null;
    if (!this.refused) return;
    this.invalid = this.note.textContent = fault;
    this.field.classList.add('cbi-input-invalid');
  }
}

class DeviceSelect extends ListValue {
  static settable = [...ListValue.settable, 'multiple', 'noaliases', 'nobridges', 'nocreate',
    'noinactive', 'exclude', 'filter'];

  async load() {
    const [, found] = await call('luci-rpc', 'getNetworkDevices', {});
    this.devices = Object.keys(found).filter((one) => one !== 'lo');
  }

  render() {
    const chosen = L.toArray(this.cfgvalue(this.section.name));
    this.input = E('select', { id: `widget.${this.id}`, multiple: this.multiple ? '' : null },
      [...new Set([...this.devices, ...chosen])].map((one) => E('option', { value: one }, [one])));
    for (const one of this.input.options) one.selected = chosen.includes(one.value);
    return this.frame(this.input);
  }

  formvalue() {
    const found = [...this.input.selectedOptions].map((one) => one.value);
    return this.multiple ? found : found[0] ?? '';
  }
}

class NamedSection extends Node_ {
  static settable = ['addremove', 'dynamic', 'optional', 'hidetitle', 'uciconfig'];

  constructor(map, name, type, title, description) {
    super(title, description);
    Object.assign(this, { map, name, type });
  }

  option(kind, option, title, description) {
    if (!(kind.prototype instanceof AbstractValue)) refuse('an option of this kind');
    const one = new kind(this.map, this, option, title, description);
    this.children.push(one);
    one.proxy = documented(`the option ${option}`, one, kind.settable);
    return one.proxy;
  }

  formvalue(section_id, option) {
    if (section_id !== this.name) refuse(`formvalue of ${section_id}`);
    const one = this.children.find((child) => child.option === option);
    return one.isActive ? one.formvalue() : null;
  }

  async render() {
    if (!(this.name in uci.values)) return E('div');
    for (const one of this.children) await one.load?.();
    return E('div', { class: 'cbi-section', 'data-tab': this.name }, [
      E('h3', this.title), E('div', { class: 'cbi-section-descr' }, this.description),
      E('div', { class: 'cbi-section-node' }, this.children.map((one) => one.render()))]);
  }
}

class Map_ extends Node_ {
  static settable = ['tabbed', 'readonly'];

  constructor(config, title, description) {
    super(title, description);
    this.config = config;
  }

  section(kind, ...given) {
    if (kind !== NamedSection) refuse('a section of this kind');
    const one = new kind(this, ...given);
    this.children.push(one);
    return documented(`the section ${given[0]}`, one, NamedSection.settable);
  }

  get options() { return this.children.flatMap((one) => one.name in uci.values ? one.children : []); }

  checkAll() { this.options.forEach((one) => one.check()); }

  async load() {
    const [status, data] = await call('uci', 'get', { config: this.config });
    if (status) throw new Error(STATUS[status]);
    uci.values = data.values;
  }

  async render() {
    await this.load();
    this.root ??= E('div', { id: `cbi-${this.config}`, class: 'cbi-map' });
    const sections = [];
    for (const one of this.children) sections.push(await one.render());
    dom.content(this.root, [E('h2', this.title),
      E('div', { class: 'cbi-map-descr' }, this.description), ...sections]);
    this.root.oninput = this.root.onchange = () => this.checkAll();
    this.checkAll();
    shown = this;
    return this.root;
  }

  async save() {
    this.checkAll();
    if (this.options.some((one) => one.invalid !== null)) throw new Error('invalid values');
    this.changes = [];
    this.options.forEach((one) => one.parse());
    for (const [section, option, value] of this.changes) {
      const [status] = value === null
        ? await call('uci', 'delete', { config: this.config, section, options: [option] })
        : await call('uci', 'set', { config: this.config, section, values: { [option]: value } });
      if (status) throw new Error(STATUS[status]);
    }
    await this.render();
  }
}

let shown = null;
window.declared = () => shown.options.map((one) => ({ section: one.section.name,
  option: one.option, datatype: one.datatype, kind: one.constructor.name,
  choices: one.choices ?? null, placeholder: one.placeholder }));
window.faultOf = (section, option, text) =>
  shown.options.find((one) => one.section.name === section && one.option === option).fault(text);

const constructible = (kind) => new Proxy(kind, {
  construct: (target, given) => documented(target.name, new target(...given), target.settable),
});
const form = documented('form', {
  Map: constructible(Map_), NamedSection, Value, Flag, ListValue, DynamicList,
});
const widgets = documented('widgets', { DeviceSelect });

const view = documented('view', {
  extend(members) {
    const own = { load() {}, handleSave: () => shown.save(), handleReset: () => shown.render(),
      handleSaveApply: async () => {
        await shown.save();
        await call('uci', 'apply', { timeout: 90, rollback: true });
      } };
    for (const key of Object.keys(members))
      if (!(key in own) && key !== 'render' && typeof members[key] !== 'function')
        refuse(`view.${key}`);
    return { ...own, ...members };
  },
});

const MODULES = { form, fs, poll, rpc, ui, view, dom, 'tools.widgets': widgets };

async function open(path) {
  catalogue = await (await fetch('/translations')).json();
  const source = await (await fetch(`/luci-static/resources/view/${path}.js`)).text();
  const wanted = [...source.matchAll(/^'require ([\w.]+)(?: as (\w+))?';$/gm)];
  for (const [, name] of wanted) if (!(name in MODULES)) refuse(`require ${name}`);
  const names = wanted.map(([, name, as]) => as ?? name);
  const made = new Function('L', 'E', '_', ...names, source)(
    L, E, _, ...wanted.map(([, name]) => MODULES[name]));
  const place = document.getElementById('view');
  dom.content(place, await made.render(await made.load()));
  for (const [key, title] of [['handleSaveApply', 'Save & Apply'], ['handleSave', 'Save'],
    ['handleReset', 'Reset']]) {
    if (made[key] === null) continue;
    place.parentNode.appendChild(E('button', { id: key, class: 'btn',
      click: ui.createHandlerFn(made, async () => {
        try {
          await made[key]();
        } catch (error) {
          ui.addNotification(null, E('p', [`Cannot save: ${error.message}`]), 'error');
        }
      }) }, [title]));
  }
  document.body.dataset.ready = 'yes';
}
