"""What is passed on to upstreams that keep objects."""

from tests.settings.loading import Load, refused


def test_where_objects_are_made_has_to_be_an_upstream(load_file: Load) -> None:
    (problem,) = refused(load_file, '[relay]\nupstream = "nowhere"\n')

    assert problem == 'relay.upstream names "nowhere", which is none of echo.'


def test_what_is_for_one_tenant_warns_at_each_start(load_file: Load) -> None:
    plain = load_file('[relay]\nupstream = "echo"\n')
    told = load_file("[relay]\nunowned = true\nunmetered = ['batches', 'videos']\n")

    assert plain.warnings == ()
    assert [warning.split(":")[0] for warning in told.warnings] == ["relay.unowned is on", "relay.unmetered"]
    assert "batches, videos" in told.warnings[1]
