'use strict';
'require dom';
'require fs';
'require poll';
'require rpc';
'require ui';
'require view';

/*
 * What the agent does now, from the file that it writes, and its check.
 *
 * Rule: every text goes to the page in a list, because LuCI takes a bare one as HTML.
 * Rule: what is not known is not shown as well.
 */

var STATE = '/var/run/titik-agent/state/agent.json';
var CHECKED = '/var/run/titik-agent/check.txt';
var SERVICE = '/etc/init.d/titik-agent';
var POLL_S = 5;
var CHECK_POLL_MS = 2000;
var CHECK_LONGEST_MS = 180000;
var SLACK_S = 60; // a busy router is late

var isChecking = false; // from this page

var callServiceList = rpc.declare({
	object: 'service',
	method: 'list',
	params: [ 'name' ],
	expect: { 'titik-agent': {} }
});

var callSystemInfo = rpc.declare({
	object: 'system',
	method: 'info'
});

function read() {
	return Promise.all([
		L.resolveDefault(callServiceList('titik-agent'), {}),
		L.resolveDefault(fs.read(STATE), ''),
		L.resolveDefault(callSystemInfo(), {}),
		L.resolveDefault(fs.read(CHECKED), '')
	]).then(function(found) {
		return {
			running: isRunning(found[0]),
			state: parsed(found[1]),
			uptime_s: found[2].uptime,
			lines: checkLines(found[3])
		};
	});
}

function isRunning(service) {
	var instances = service.instances || {};

	/* The helper that upgrades is an instance too. */
	return (instances.agent || {}).running === true;
}

function parsed(text) {
	try {
		var state = JSON.parse(text);
		return (state !== null && state.v === 1) ? state : null;
	}
	catch (e) {
		return null;
	}
}

function checkLines(text) {
	return text.split('\n').filter(function(line) { return line !== ''; });
}

function isOver(lines) {
	return lines.length > 0 && /^end \d+$/.test(lines[lines.length - 1]);
}

function isUnderWay(lines) {
	return lines.length > 0 && !isOver(lines);
}

/* Seconds in the largest unit of which there are two or more, as people say it. */
function lasting(seconds) {
	if (seconds >= 2 * 86400)
		return _('%d days').format(seconds / 86400);
	if (seconds >= 2 * 3600)
		return _('%d hours').format(seconds / 3600);
	if (seconds >= 120)
		return _('%d minutes').format(seconds / 60);
	return _('%d seconds').format(seconds);
}

function kibibytes(bytes) {
	return _('%d KiB').format(Math.ceil(bytes / 1024));
}

/* How old the file is; nothing is older than the router's uptime. */
function age_s(found) {
	return Math.max(0, (found.uptime_s || 0) - found.state.uptime_ms / 1000);
}

function since(found, ago_ms) {
	return lasting(age_s(found) + ago_ms / 1000);
}

/* How long the server acknowledges nothing, though it could. */
function silent_s(found) {
	var broker = found.state.broker, ago_ms = broker.since_ago_ms;

	if (broker.acked_ago_ms !== null)
		ago_ms = Math.min(ago_ms, broker.acked_ago_ms);
	return age_s(found) + ago_ms / 1000;
}

/* No ack came since it connected, and one is due. */
function isUnproven(state) {
	var broker = state.broker;

	return broker.acked_ago_ms === null
		|| (broker.acked_ago_ms > broker.since_ago_ms && state.spool.samples > 0);
}

/* The one sentence that a technician needs: kind of the mark, what is so, what to do. */
function verdict(found) {
	var state = found.state;

	if (!found.running && (isChecking || isUnderWay(found.lines)))
		return [ 'doubt', _('The agent rests while it is checked.'), '' ];
	if (!found.running)
		return [ 'bad', _('The agent does not run.'),
			_('Switch it on in Settings, and give it a name and a server. "Check" names what is wrong.') ];
	if (state === null)
		return [ 'doubt', _('The agent starts.'), _('Look again in a minute.') ];
	if (age_s(found) > state.interval_s * 2 + SLACK_S)
		return [ 'bad', _('The agent has shown nothing for %s.').format(lasting(age_s(found))),
			_('It starts again by itself after five minutes. The system log names the reason.') ];
	if (!state.broker.connected)
		return unconnected(found);
	if (state.broker.collectors === 0)
		return [ 'doubt', _('Connected, but no collector answers there. Samples are kept.'),
			_('Is it the city\'s server? Does its collector run?') ];
	if (silent_s(found) > state.interval_s * 2 + SLACK_S)
		return [ 'doubt', _('Connected, but the server acknowledges nothing. Samples are kept.'),
			_('Was this router added at the server under this name? "Check" tries every step.') ];
	if (isUnproven(state))
		return [ 'doubt', _('Connected. Nothing is acknowledged yet.'), _('Look again in a minute.') ];
	if (state.sources.some(function(one) { return one.state === 'failed'; }))
		return [ 'doubt', _('Reports arrive, but something is missing in them.'),
			_('See the sources below.') ];
	return [ 'good', _('Reports arrive at the server.'), '' ];
}

function unconnected(found) {
	var broker = found.state.broker;

	if (broker.reason === null)
		return [ 'doubt', _('The agent connects now.'), '' ];
	return [ 'bad',
		(broker.acked_ago_ms === null)
			? _('Nothing has reached the server yet. Samples are kept.')
			: _('The connection to the server is lost. Samples are kept.'),
		broker.reason ];
}

/* Signs and words, because themes differ in their colours. */
var SIGNS = { good: '✓', doubt: '!', bad: '✗' };
var ALERTS = { good: 'success', doubt: 'warning', bad: 'error' };

function mark(kind, text) {
	return E('span', { 'data-kind': kind }, [ SIGNS[kind], ' ', E('strong', [ text ]) ]);
}

function row(title, content) {
	return E('tr', { 'class': 'tr' }, [
		E('td', { 'class': 'td left', 'width': '33%' }, [ title ]),
		E('td', { 'class': 'td left' }, content)
	]);
}

function section(title, rows) {
	return E('div', { 'class': 'cbi-section' }, [
		E('h3', [ title ]),
		E('table', { 'class': 'table' }, rows)
	]);
}

function overview(found) {
	var judged = verdict(found);

	return E('div', {
		'class': 'alert-message %s'.format(ALERTS[judged[0]]),
		'id': 'titik-verdict',
		'aria-live': 'polite'
	}, [
		E('p', [ mark(judged[0], judged[1]) ]),
		E('p', [ judged[2] ])
	]);
}

function connection(found) {
	var broker = found.state.broker;

	return section(_('Connection'), [
		row(_('Server'), [ broker.where ]),
		row(_('State'), [ broker.connected
			? _('connected for %s').format(since(found, broker.since_ago_ms))
			: _('not connected for %s').format(since(found, broker.since_ago_ms)) ]),
		row(_('Next try'), [ (broker.next_try_ms === null) ? '-'
			: _('in %s').format(lasting(Math.max(0, broker.next_try_ms / 1000 - age_s(found)))) ]),
		row(_('Collectors online'), [ broker.connected ? String(broker.collectors) : '-' ]),
		row(_('Last acknowledged'), [ (broker.acked_ago_ms === null) ? _('nothing yet')
			: _('%s ago').format(since(found, broker.acked_ago_ms)) ])
	]);
}

function spooled(found) {
	var spool = found.state.spool;

	return section(_('Spool'), [
		row(_('Samples that wait'), [ String(spool.samples) ]),
		row(_('Size'), [ kibibytes(spool.bytes) ]),
		row(_('The oldest waits for'), [ (spool.oldest_ago_ms === null) ? '-'
			: since(found, spool.oldest_ago_ms) ]),
		row(_('Merged'), [ String(spool.merged) ]),
		row(_('Lost'), [ spool.lost === 0 ? '0' : mark('bad', String(spool.lost)) ]),
		row(_('Damaged'), [ spool.corrupt === 0 ? '0' : mark('doubt', String(spool.corrupt)) ])
	]);
}

function sampled(found) {
	var sample = found.state.sample, rows;

	if (sample === null)
		return section(_('Newest sample'), [ row(_('Taken'), [ _('none yet') ]) ]);

	rows = [
		row(_('Taken'), [ _('%s ago').format(since(found, sample.ago_ms)) ]),
		row(_('Clients'), [ sample.off_air ? _('Wi-Fi is off')
			: (sample.clients === null) ? _('not known') : String(sample.clients) ]),
		row(_('To the internet'), [ sample.uplinks.map(function(one) {
			return one.up ? one.ifname : _('%s (down)').format(one.ifname);
		}).join(', ') || _('none found') ])
	];
	if (sample.flow_offload)
		rows.push(row(_('Flow offload'), [
			mark('doubt', _('on: bytes may be counted too low')) ]));
	return section(_('Newest sample'), rows);
}

var NAMES = {
	hostapd: _('Wi-Fi'),
	survey: _('Channels'),
	netdev: _('Interfaces'),
	flow_offload: _('Flow offload'),
	host: _('Router'),
	leases: _('Leases'),
	reach: _('Internet test'),
	probe: _('Probe'),
	visitors: _('Visitors')
};

var REMEDIES = {
	hostapd: _('Is Wi-Fi on? Is /usr/share/acl.d/titik-agent.json there? If this is no access point, switch Wi-Fi off in Settings, Sources.'),
	survey: _('It needs what Wi-Fi needs.'),
	netdev: _('If the wrong interface is counted, name it in Settings, Interfaces.'),
	leases: _('Is the file of leases the right one? See Settings, Sources.'),
	reach: _('Restart the agent. If it comes again, report it.'),
	probe: _('Is the package titik-agent-probe installed, and does it run?')
};

function source(one) {
	var name = NAMES[one.name] || one.name;

	if (one.state === 'failed')
		return row(name, [ mark('bad', _('cannot be read')), ' ', one.reason, ' ',
			E('em', [ REMEDIES[one.name] || '' ]) ]);
	return row(name, [ (one.state === 'ok') ? mark('good', _('read'))
		: (one.state === 'none') ? _('not on this router') : _('not read yet') ]);
}

/* What the city set from its server counts over the settings of this router. */
function fromServer(settings) {
	var change = _('change %d').format(settings.revision);

	switch (settings.state) {
	case 'applied':
		return [ mark('good', _('in use')), ' ', change ];
	case 'trying':
		return [ mark('doubt', _('on trial')), ' ', change ];
	case 'refused':
		return [ mark('bad', _('refused')), ' ', change, ' ', settings.reason || '' ];
	default:
		return [ mark('bad', _('taken back')), ' ', change, ' ', settings.reason || '' ];
	}
}

function versions(found) {
	var rows = [
		row(_('Name'), [ found.state.router ]),
		row(_('Version'), [ found.state.version ]),
		row(_('Python'), [ found.state.python ]),
		row(_('Clock'), [ (found.state.clock === 'ntp') ? _('set')
			: mark('doubt', _('not known to be right; samples are placed in time later')) ])
	];

	if (found.state.settings)
		rows.push(row(_('Settings from the server'), fromServer(found.state.settings)));

	return section(_('Agent'), rows);
}

function details(found) {
	if (!found.running || found.state === null)
		return E('div');

	return E('div', [
		connection(found),
		spooled(found),
		sampled(found),
		section(_('Sources'), found.state.sources.map(source)),
		versions(found)
	]);
}

var KINDS = { 'ok': 'good', 'FAIL': 'bad', '--': 'doubt' };

function checked(lines) {
	var shown = lines.filter(function(line) { return !/^end \d+$/.test(line); });

	return E('table', { 'class': 'table', 'id': 'titik-check' }, shown.map(function(line) {
		var found = /^(ok|FAIL|--) +([^:]*):? ?(.*)$/.exec(line);

		return (found === null) ? row('', [ line ])
			: row(found[2], [ mark(KINDS[found[1]], found[1]), ' ', found[3] ]);
	}));
}

function put(id, content) {
	var place = document.getElementById(id);

	if (place !== null)
		dom.content(place, [ content ]);
}

function show(found) {
	put('titik-overview', overview(found));
	put('titik-details', details(found));
}

/* Until the check has ended, or takes longer than it can. */
function follow(until_ms) {
	return L.resolveDefault(fs.read(CHECKED), '').then(function(text) {
		var lines = checkLines(text);

		put('titik-checked', checked(lines));
		if (isOver(lines) || Date.now() > until_ms)
			return null;

		return new Promise(function(resolve) {
			window.setTimeout(resolve, CHECK_POLL_MS);
		}).then(function() { return follow(until_ms); });
	});
}

return view.extend({
	load: read,

	handleCheck: function() {
		isChecking = true;
		put('titik-checked', E('p', [ _('The agent rests while it is checked.') ]));

		return fs.exec(SERVICE, [ 'check_later' ]).then(function(result) {
			if (result.code !== 0)
				throw new Error(result.stderr || String(result.code));

			return follow(Date.now() + CHECK_LONGEST_MS);
		}).catch(function(error) {
			put('titik-checked', E('p', []));
			ui.addNotification(null,
				E('p', [ _('The check could not be started: %s').format(error.message) ]), 'error');
		}).then(function() {
			isChecking = false;
		});
	},

	render: function(found) {
		poll.add(function() { return read().then(show); }, POLL_S);

		return E('div', [
			E('h2', [ _('Titik') ]),
			E('div', { 'id': 'titik-overview' }, [ overview(found) ]),
			E('div', { 'class': 'cbi-section' }, [
				E('button', {
					'class': 'btn cbi-button cbi-button-action',
					'id': 'titik-check-now',
					'click': ui.createHandlerFn(this, 'handleCheck')
				}, [ _('Check') ]),
				' ',
				_('Tries every step from Wi-Fi to the server\'s answer. It takes up to a minute, and the agent rests meanwhile.'),
				E('div', { 'id': 'titik-checked' }, [
					checked(isUnderWay(found.lines) ? found.lines : [])
				])
			]),
			E('div', { 'id': 'titik-details' }, [ details(found) ])
		]);
	},

	handleSaveApply: null,
	handleSave: null,
	handleReset: null
});
