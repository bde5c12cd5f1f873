'use strict';
'require form';
'require tools.widgets as widgets';
'require view';

/*
 * /etc/config/titik-agent, a tab for each section.
 *
 * Rule: what is refused here is what the agent refuses, no more and no less. A test compares the
 * keys and ranges with the agent's own.
 */

var MAX_TARGETS = 8;

function whole(option, low, high, usual) {
	option.datatype = 'and(uinteger,range(%d,%d))'.format(low, high);
	option.placeholder = String(usual);
	option.validate = isPlain;
}

function isPlain(section_id, value) {
	return /^0./.test(value) ? _('A number without a zero in front') : true;
}

function isName(section_id, value) {
	return value === '' || /^[a-z0-9-]{1,64}$/.test(value)
		|| _('Only a-z, 0-9 and -, at most 64 characters');
}

function isFolder(section_id, value) {
	return value === '' || /^\/[^\/]+\/.*[^\/]$/.test(value) && !/\/\.\.(\/|$)/.test(value)
		|| _('A folder of the agent\'s own, such as /var/run/titik-agent/spool');
}

function isPath(section_id, value) {
	return value === '' || value.charAt(0) === '/' || _('A path that begins with /');
}

function isTarget(section_id, value) {
	var found = /^(\[[0-9a-fA-F:]+\]|[^:\[\]\s]+):([0-9]{1,5})$/.exec(value);

	if (value !== '' && (found === null || +found[2] < 1 || +found[2] > 65535))
		return _('An address and a port, such as example.net:443');

	return fewEnough(this.formvalue(section_id), value);
}

function isAskedName(section_id, value) {
	if (value !== '' && !/^(\*\.)?[^\s.]{1,63}(\.[^\s.]{1,63})*\.?$/.test(value))
		return _('A host\'s name, such as example.net or *.example');

	return fewEnough(this.formvalue(section_id), value);
}

/* A list counts what is typed and not yet added, unless it was found invalid before. */
function fewEnough(listed, value) {
	var others = L.toArray(listed).filter(function(one) { return one !== value; });

	return value === '' || others.length < MAX_TARGETS
		|| _('At most 8, so that a round ends in time');
}

function together(other) {
	return function(section_id, value) {
		var has = this.section.formvalue(section_id, other);

		if ((value === '') !== (has === '' || has == null))
			return _('The certificate and its key go together');

		return isPath(section_id, value);
	};
}

function main(m) {
	var s = m.section(form.NamedSection, 'main', 'agent', _('Agent')), o;

	o = s.option(form.Flag, 'enabled', _('Report this router'),
		_('If it is off, the agent does not run, and nothing is reported.'));
	o.default = '1';
	o.rmempty = false;

	o = s.option(form.Value, 'router', _('Name'),
		_('The router\'s name at the server. The file that enrols the router sets it.'));
	o.validate = isName;
	o.placeholder = 'tirosa-1';

	o = s.option(form.Value, 'interval_s', _('Seconds between samples'),
		_('A longer time costs less data. Joins and leaves are reported at once anyway.'));
	whole(o, 1, 3600, 30);

	o = s.option(form.ListValue, 'clock', _('Clock'),
		_('Believe the clock without NTP only where a battery keeps it right.'));
	o.value('auto', _('right once NTP has set it'));
	o.value('trusted', _('always right'));
	o.default = 'auto';
}

function broker(m) {
	var s = m.section(form.NamedSection, 'broker', 'broker', _('Server'),
		_('Where reports go. The file that enrols the router sets all of it.')), o;

	o = s.option(form.Value, 'host', _('Name or address'));
	o.datatype = 'host';
	o.placeholder = 'mqtt.example.net';

	o = s.option(form.Value, 'port', _('Port'),
		_('Empty: 8883 with encryption, 1883 without.'));
	o.datatype = 'port';
	o.validate = isPlain;

	o = s.option(form.Flag, 'tls', _('Encryption'),
		_('TLS: nobody on the way reads the reports, and the server is checked.'));

	o = s.option(form.Value, 'ca_file', _('Authority'),
		_('File with the certificates to trust. Empty: those of the system.'));
	o.depends('tls', '1');
	o.validate = isPath;
	o.placeholder = '/etc/titik/ca.crt';

	o = s.option(form.Value, 'cert_file', _('Certificate'), _('File with the router\'s own.'));
	o.depends('tls', '1');
	o.validate = together('key_file');
	o.placeholder = '/etc/titik/router.crt';

	o = s.option(form.Value, 'key_file', _('Key of the certificate'),
		_('Only the agent\'s user may read this file.'));
	o.depends('tls', '1');
	o.validate = together('cert_file');
	o.placeholder = '/etc/titik/router.key';

	o = s.option(form.Value, 'password', _('Password'),
		_('Only where the router has no certificate.'));
	o.password = true;

	o = s.option(form.Value, 'password_file', _('File with the password'),
		_('In place of the password here.'));
	o.validate = isPath;

	o = s.option(form.ListValue, 'compress', _('Compress samples'),
		_('A third of the data. Off where another program reads the samples.'));
	o.value('', _('as the server takes them'));
	o.value('1', _('always'));
	o.value('0', _('never'));
}

function spool(m) {
	var s = m.section(form.NamedSection, 'spool', 'spool', _('Spool'),
		_('What the server has not stored yet.')), o;

	o = s.option(form.Value, 'limit_bytes', _('Size in bytes'),
		_('When it is full, older samples are merged. Totals stay exact.'));
	whole(o, 65536, 1073741824, 1048576);

	o = s.option(form.Value, 'directory', _('Folder'),
		_('In memory (RAM), so that the flash does not wear.'));
	o.validate = isFolder;
	o.placeholder = '/var/run/titik-agent/spool';

	o = s.option(form.Value, 'persist_dir', _('Folder on flash'),
		_('A long outage is copied here, so that it survives a power cut.'));
	o.validate = isFolder;
	o.placeholder = '/etc/titik/spool';
}

function interfaces(m) {
	var s = m.section(form.NamedSection, 'interfaces', 'interfaces', _('Interfaces'),
		_('Usually the agent finds them by itself. The status names which.')), o;

	o = s.option(widgets.DeviceSelect, 'uplink', _('To the internet'),
		_('Choose only if the wrong one is counted.'));
	o.multiple = true;
	o.noaliases = true;

	o = s.option(widgets.DeviceSelect, 'lan', _('To the visitors'),
		_('If none is chosen: every bridge.'));
	o.multiple = true;
	o.noaliases = true;
}

function sources(m) {
	var s = m.section(form.NamedSection, 'sources', 'sources', _('Sources'),
		_('Where counts come from. A usual router needs nothing here.')), o;

	o = s.option(form.ListValue, 'hostapd', _('Wi-Fi'));
	o.value('auto', _('found by itself'));
	o.value('ubus', _('over ubus'));
	o.value('control', _('over hostapd\'s sockets'));
	o.value('off', _('off: this is no access point'));
	o.default = 'auto';

	o = s.option(form.Value, 'ubus_socket', _('Socket of ubus'));
	o.validate = isPath;
	o.placeholder = '/var/run/ubus/ubus.sock';

	o = s.option(form.Value, 'control_dir', _('Folder of hostapd\'s sockets'));
	o.validate = isPath;
	o.placeholder = '/var/run/hostapd';

	o = s.option(form.DynamicList, 'lease_files', _('Files of leases'),
		_('Of dnsmasq. How many devices have an address is counted, not who.'));
	o.validate = isPath;
	o.placeholder = '/tmp/dhcp.leases';
}

function reach(m) {
	var s = m.section(form.NamedSection, 'reach', 'reach', _('Internet test'),
		_('Does the line carry traffic? Off unless a target or a name is given.')), o;

	o = s.option(form.DynamicList, 'targets', _('Targets'),
		_('Host and port. A connection is opened and closed again.'));
	o.validate = isTarget;
	o.placeholder = 'example.net:443';

	o = s.option(form.DynamicList, 'names', _('Names'),
		_('To ask the name server for. *.example asks for a new name each time.'));
	o.validate = isAskedName;
	o.placeholder = '*.example';

	o = s.option(form.Value, 'every_s', _('Seconds between rounds'));
	whole(o, 5, 3600, 60);
}

function probe(m) {
	var s = m.section(form.NamedSection, 'probe', 'probe', _('Probe'),
		_('A process of its own that pings. It needs the package titik-agent-probe.')), o;

	o = s.option(form.Flag, 'enabled', _('Run the probe'));
	o.default = '1';

	o = s.option(form.Value, 'every_s', _('Seconds between rounds'));
	whole(o, 10, 86400, 300);

	o = s.option(form.DynamicList, 'targets', _('Addresses to ping'));
	o.datatype = 'host';
	o.placeholder = '192.0.2.1';

	o = s.option(form.Value, 'max_age_s', _('Seconds that a result is good for'),
		_('An older one is not reported.'));
	whole(o, 10, 86400, 900);

	o = s.option(form.Value, 'result_file', _('File of the result'));
	o.validate = isPath;
	o.placeholder = '/var/run/titik-agent/probe/result.json';
}

return view.extend({
	render: function() {
		var m = new form.Map('titik-agent', _('Titik'),
			_('How this router reports its visitors\' count and traffic. Saving restarts the agent; settings that it would refuse change nothing.'));

		m.tabbed = true;
		[ main, broker, spool, interfaces, sources, reach, probe ].forEach(function(add) {
			add(m);
		});

		return m.render();
	}
});
