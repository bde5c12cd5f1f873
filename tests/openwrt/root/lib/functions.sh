# A stand-in for OpenWrt's: /tmp/uci/NAME holds what `config_load NAME` would have read, as
# CONFIG_section_option='value' lines; a list's items are joined by blanks, as `config_get` does.

config_load() {
	. "/tmp/uci/$1"
}

config_get() { # variable, section, option, default
	eval "$1=\${CONFIG_$2_$3:-\$4}"
}

config_get_bool() {
	local _value
	config_get _value "$2" "$3" "$4"
	case $_value in
	1 | on | true | yes | enabled) eval "$1=1" ;;
	0 | off | false | no | disabled) eval "$1=0" ;;
	*) eval "$1=\$4" ;;
	esac
}
